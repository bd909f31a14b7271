import { fleetError } from './errors.ts'

/** An opaque place in a list: base64url of JSON. */
export function encodeCursor(parts: readonly (string | number | boolean | null)[]): string {
  return Buffer.from(JSON.stringify(parts)).toString('base64url')
}

/** Throws FLT_CURSOR_INVALID for anything that {@link encodeCursor} did not make with this many parts. */
export function decodeCursor(text: string, length: number): readonly (string | number | boolean | null)[] {
  try {
    const parts: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
    if (Array.isArray(parts) && parts.length === length && parts.every(isScalar)) return parts
  } catch {
    // Falls through to the same answer.
  }
  throw fleetError('FLT_CURSOR_INVALID')
}

function isScalar(value: unknown): value is string | number | boolean | null {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value)
}

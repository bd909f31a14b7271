import { outputError } from './errors.ts'

/** An offset that a viewer sent, 0 where it sent none; throws FLT_OUTPUT_OFFSET for anything but a whole number of bytes. */
export function readOffset(value: unknown): number {
  if (value === undefined || value === '') return 0
  if (typeof value === 'string' && /^[0-9]{1,15}$/.test(value)) return Number(value)
  throw outputError('FLT_OUTPUT_OFFSET', { value: String(value).slice(0, 64) })
}

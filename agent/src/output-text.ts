import { isUtf8 } from 'node:buffer'
import type { FileHandle } from 'node:fs/promises'

/** A place in the output: bytes of the file, and bytes of the text made of them. A character never lies across it. */
export interface OutputPoint {
  readonly raw: number
  readonly text: number
}

export interface OutputBlock {
  readonly from: OutputPoint
  readonly to: OutputPoint
  /** Valid UTF-8. */
  readonly bytes: Buffer
}

const blockBytes = 64 * 1024

/**
 * Reads the next piece of a raw output from a point on, as valid UTF-8: invalid bytes and NUL become U+FFFD. The same file gives the same text
 * however it is cut into pieces. A character that is not whole yet waits, unless the output is `complete`. Undefined where there is nothing.
 */
export async function readOutput(
  file: FileHandle,
  from: OutputPoint,
  options: { readonly complete: boolean },
): Promise<OutputBlock | undefined> {
  const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(blockBytes), 0, blockBytes, from.raw)
  const atEnd = options.complete && bytesRead < blockBytes
  const length = atEnd ? bytesRead : wholeLength(buffer.subarray(0, bytesRead))
  if (length === 0) return undefined
  const bytes = toText(buffer.subarray(0, length))
  return { from, to: { raw: from.raw + length, text: from.text + bytes.length }, bytes }
}

/** The last place at or before `limit` where a character begins, in valid UTF-8. */
export function boundaryBefore(text: Buffer, limit: number): number {
  let index = Math.min(limit, text.length)
  while (index > 0 && index < text.length && isContinuation(text[index])) index -= 1
  return index
}

/** The first place at or after `limit` where a character begins. */
export function boundaryAfter(text: Buffer, limit: number): number {
  let index = Math.max(0, limit)
  while (index < text.length && isContinuation(text[index])) index += 1
  return Math.min(index, text.length)
}

function toText(raw: Buffer): Buffer {
  if (isUtf8(raw) && !raw.includes(0)) return raw
  // `toString` replaces by the rules of the WHATWG: one U+FFFD for each maximal part of a broken sequence.
  const text = raw.toString('utf8').replaceAll('\0', '\ufffd')
  return Buffer.from(text, 'utf8')
}

/** Without a last character that is still incomplete. */
function wholeLength(raw: Buffer): number {
  for (let back = 1; back <= Math.min(3, raw.length); back += 1) {
    const byte = raw[raw.length - back] ?? 0
    if (isContinuation(byte)) continue
    return expectedLength(byte) > back ? raw.length - back : raw.length
  }
  return raw.length
}

function expectedLength(lead: number): number {
  if (lead >= 0xf0 && lead <= 0xf4) return 4
  if (lead >= 0xe0 && lead < 0xf0) return 3
  return lead >= 0xc2 && lead < 0xe0 ? 2 : 1
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80
}

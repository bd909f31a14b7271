import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

const maximumBytes = 16 * 1024

/** How long the output file behind a descriptor is now, in bytes. */
export function outputLength(fd: number): number {
  return fstatSync(fd).size
}

/**
 * The end, at most 16 KiB, of what was appended to the output file behind `fd` since it was `from` bytes long. The descriptor may be open for
 * writing only: the file is opened anew.
 */
export function outputEnd(fd: number, from: number): string {
  const length = outputLength(fd)
  const start = Math.max(from, length - maximumBytes)
  const buffer = Buffer.alloc(Math.max(0, length - start))
  const reader = openSync(`/proc/self/fd/${fd}`, 'r')
  try {
    const bytes = readSync(reader, buffer, 0, buffer.length, start)
    return buffer.toString('utf8', 0, bytes)
  } finally {
    closeSync(reader)
  }
}

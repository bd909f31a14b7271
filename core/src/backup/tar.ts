import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, open, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'

const block = 512

/** One file on its way out of an archive. */
export interface ArchivedFile {
  readonly path: string
  readonly bytes: number
  /** Must be read to its end, or dropped, before the next one. */
  readonly content: AsyncIterable<Buffer>
}

/** Writes files of a folder, in this order, into a gzipped tar that any tar reads. Paths are relative, at most 255 bytes. */
export async function packFiles(folder: string, paths: readonly string[], to: string): Promise<void> {
  async function* pieces(): AsyncGenerator<Buffer> {
    for (const path of paths) {
      const { size } = await stat(join(folder, path))
      yield header(path, size)
      yield* createReadStream(join(folder, path))
      if (size % block !== 0) yield Buffer.alloc(block - (size % block))
    }
    yield Buffer.alloc(2 * block)
  }
  await pipeline(
    Readable.from(pieces()),
    createGzip({ level: 3 }),
    createWriteStream(to, { flags: 'wx', mode: 0o600 }),
  )
}

/** The files of a gzipped tar, one after the other. Throws where it is cut short, or holds anything but plain files. */
export async function* unpackFiles(source: Readable): AsyncGenerator<ArchivedFile> {
  const inflated = createGunzip()
  // An error of the file must reach whoever reads.
  source.on('error', (error) => inflated.destroy(error))
  const reader = new BlockReader(source.pipe(inflated))
  try {
    for (;;) {
      const head = await reader.take(block)
      // To the end, where gzip's own checksum stands.
      if (head.every((byte) => byte === 0)) return await reader.finish()
      const { path, bytes } = readHeader(head)
      const content = reader.part(bytes)
      yield { path, bytes, content }
      for await (const _ of content);
      await reader.take((block - (bytes % block)) % block)
    }
  } finally {
    source.destroy()
    inflated.destroy()
  }
}

/** Writes one file of an archive below a folder. */
export async function writeArchived({ path, content }: ArchivedFile, folder: string): Promise<void> {
  const to = join(folder, path)
  await mkdir(dirname(to), { recursive: true, mode: 0o700 })
  const file = await open(to, 'wx', 0o600)
  try {
    for await (const piece of content) await file.writeFile(piece)
    await file.sync()
  } finally {
    await file.close()
  }
}

class BlockReader {
  readonly #source: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  async take(bytes: number): Promise<Buffer> {
    const parts: Buffer[] = []
    for await (const piece of this.part(bytes)) parts.push(piece)
    return Buffer.concat(parts)
  }

  async finish(): Promise<void> {
    while ((await this.#source.next()).done !== true);
  }

  /** Can be left in the middle and taken up again: the next call of the iterator goes on. */
  part(bytes: number): AsyncIterable<Buffer> {
    let left = bytes
    const next = async (): Promise<IteratorResult<Buffer>> => {
      if (left === 0) return { done: true, value: undefined }
      if (this.#rest.length === 0) {
        const { done, value } = await this.#source.next()
        if (done === true) throw new Error('it is cut short')
        this.#rest = value
      }
      const piece = this.#rest.subarray(0, left)
      this.#rest = this.#rest.subarray(piece.length)
      left -= piece.length
      return { done: false, value: piece }
    }
    return { [Symbol.asyncIterator]: () => ({ next }) }
  }
}

function header(path: string, size: number): Buffer {
  const head = Buffer.alloc(block)
  const { name, prefix } = splitPath(path)
  head.write(name, 0)
  head.write('0000600\0', 100)
  head.write('0000000\0', 108)
  head.write('0000000\0', 116)
  head.write(size < 8 ** 11 ? `${size.toString(8).padStart(11, '0')}\0` : '', 124)
  if (size >= 8 ** 11) {
    // Beyond 8 GiB: the number itself, marked by its first bit.
    head[124] = 0x80
    head.writeBigUInt64BE(BigInt(size), 128)
  }
  head.write('00000000000\0', 136)
  head.fill(' ', 148, 156)
  head.write('0', 156)
  head.write('ustar\0', 257)
  head.write('00', 263)
  head.write(prefix, 345)
  head.write(`${sumOf(head).toString(8).padStart(6, '0')}\0 `, 148)
  return head
}

function splitPath(path: string): { name: string; prefix: string } {
  if (Buffer.byteLength(path) <= 100) return { name: path, prefix: '' }
  for (let cut = path.indexOf('/'); cut > 0; cut = path.indexOf('/', cut + 1)) {
    const [prefix, name] = [path.slice(0, cut), path.slice(cut + 1)]
    if (Buffer.byteLength(prefix) <= 155 && Buffer.byteLength(name) <= 100) return { name, prefix }
  }
  throw new Error(`${path} is too long a path for an archive`)
}

function readHeader(head: Buffer): { path: string; bytes: number } {
  const sum = Number.parseInt(textAt(head, 148, 8), 8)
  const copy = Buffer.from(head)
  copy.fill(' ', 148, 156)
  if (sum !== sumOf(copy)) throw new Error('it is not a tar archive, or damaged')
  const kind = textAt(head, 156, 1)
  if (kind !== '0' && kind !== '') throw new Error('it holds something that is not a plain file')
  const prefix = textAt(head, 345, 155)
  const name = textAt(head, 0, 100)
  const isBinary = ((head[124] ?? 0) & 0x80) !== 0
  const bytes = isBinary ? Number(head.readBigUInt64BE(128)) : Number.parseInt(textAt(head, 124, 12), 8)
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw new Error('a size in it cannot be read')
  return { path: prefix === '' ? name : `${prefix}/${name}`, bytes }
}

function textAt(head: Buffer, from: number, length: number): string {
  const text = head.toString('utf8', from, from + length)
  const end = text.indexOf('\0')
  return (end < 0 ? text : text.slice(0, end)).trim()
}

function sumOf(head: Buffer): number {
  return head.reduce((sum, byte) => sum + byte, 0)
}

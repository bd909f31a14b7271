import { bundleError } from './errors.ts'
import { bundleLimits } from './limits.ts'

export interface ArchiveFile {
  readonly path: string
  readonly content: Buffer
}

const block = 512
const fileMode = '0000644'

/** A ustar archive of plain files, in the given order, with nothing in it but names and contents: equal files, equal bytes. */
export function writeTar(files: readonly ArchiveFile[]): Buffer {
  const parts = files.flatMap(({ path, content }) => [
    header(path, content.length),
    content,
    padding(content),
  ])
  return Buffer.concat([...parts, Buffer.alloc(2 * block)])
}

/**
 * Reads what {@link writeTar} wrote, and nothing else: each header must be, byte for byte, the one that its name and size give. So there
 * are no links, devices, owners, modes, long names or trailing data. Throws FLT_BUNDLE_ARCHIVE with what was found instead.
 */
export function readTar(archive: Buffer): readonly ArchiveFile[] {
  const files: ArchiveFile[] = []
  const taken = new Map<string, 'file' | 'folder'>()
  let at = 0
  for (;;) {
    const found = archive.subarray(at, at + block)
    if (found.length < block) throw broken('it is cut off')
    if (isZero(found)) break
    if (files.length === bundleLimits.files) throw broken(`it has more than ${bundleLimits.files} files`)
    const { path, size } = readHeader(found)
    take(taken, path)
    const start = at + block
    const end = start + size
    at = start + Math.ceil(size / block) * block
    if (at > archive.length) throw broken('it is cut off')
    if (!isZero(archive.subarray(end, at))) throw broken(`there is data behind "${path}"`)
    files.push({ path, content: archive.subarray(start, end) })
  }
  if (archive.length !== at + 2 * block || !isZero(archive.subarray(at)))
    throw broken('there is data behind its end')
  return files
}

function readHeader(found: Buffer): { readonly path: string; readonly size: number } {
  const path = text(found.subarray(0, 100))
  const problem = pathProblem(path)
  if (problem !== undefined) throw broken(`the name ${JSON.stringify(path.slice(0, 100))} ${problem}`)
  const type = String.fromCharCode(found[156] ?? 0)
  if (type !== '0') throw broken(`"${path}" is ${entryKinds[type] ?? 'of an unknown kind'}, not a file`)
  const digits = text(found.subarray(124, 136))
  if (!/^[0-7]{11}$/.test(digits)) throw broken(`the size of "${path}" is not a number`)
  const size = Number.parseInt(digits, 8)
  if (size > bundleLimits.unpackedBytes) throw broken(`"${path}" is larger than a bundle may be`)
  if (!found.equals(header(path, size))) throw broken(`the header of "${path}" says more than name and size`)
  return { path, size }
}

/** Why a path is none that a bundle may hold; undefined where it is fine: plain names below one folder, nothing hidden. */
function pathProblem(path: string): string | undefined {
  if (path === '') return 'is empty or too long'
  if (path.startsWith('/')) return 'is absolute'
  const segments = path.split('/')
  if (segments.includes('..') || segments.includes('.')) return 'leaves the folder'
  return segments.every((segment) => /^[A-Za-z0-9_-][A-Za-z0-9._@-]*$/.test(segment))
    ? undefined
    : 'has characters that are not allowed'
}

/** Also where names differ only in case, and where one would be file and folder at once. */
function take(taken: Map<string, 'file' | 'folder'>, path: string): void {
  const key = path.toLowerCase()
  if (taken.has(key)) throw broken(`"${path}" is in it twice`)
  taken.set(key, 'file')
  for (let end = key.lastIndexOf('/'); end > 0; end = key.lastIndexOf('/', end - 1)) {
    const folder = key.slice(0, end)
    if (taken.get(folder) === 'file') throw broken(`"${folder}" is a file and a folder at once`)
    taken.set(folder, 'folder')
  }
}

const entryKinds: Readonly<Record<string, string>> = {
  '1': 'a hard link',
  '2': 'a symbolic link',
  '3': 'a device',
  '4': 'a device',
  '5': 'a folder',
  '6': 'a pipe',
}

function header(path: string, size: number): Buffer {
  const made = Buffer.alloc(block)
  const problem = Buffer.byteLength(path) > 100 ? 'is longer than 100 bytes' : pathProblem(path)
  if (problem !== undefined) throw broken(`the name ${JSON.stringify(path)} ${problem}`)
  made.write(path, 0)
  made.write(fileMode, 100)
  made.write('0000000', 108)
  made.write('0000000', 116)
  made.write(size.toString(8).padStart(11, '0'), 124)
  made.write('00000000000', 136)
  made.write('        ', 148)
  made.write('0', 156)
  made.write('ustar\u000000', 257)
  const sum = made.reduce((total, byte) => total + byte, 0)
  made.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, 148)
  return made
}

function padding(content: Buffer): Buffer {
  return Buffer.alloc((block - (content.length % block)) % block)
}

function text(field: Buffer): string {
  const end = field.indexOf(0)
  return field.subarray(0, end < 0 ? field.length : end).toString('latin1')
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0)
}

function broken(problem: string): Error {
  return bundleError('FLT_BUNDLE_ARCHIVE', { problem })
}

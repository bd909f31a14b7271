import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { crc32, inflateRawSync } from 'node:zlib'
import { Compile } from 'typebox/compile'
import { verifyEnvelope } from './envelope.ts'
import { Envelope } from './envelope-schema.ts'
import { bundleError } from './errors.ts'
import { importPublicKey, keyIdOf } from './keys.ts'
import { bundleLimits } from './limits.ts'
import { Statement } from './statement.ts'
import { type ArchiveFile, readTar } from './tar.ts'
import { envelopePath } from './write-bundle.ts'

/** A bundle whose archive, signature and hashes are right. Whether its publisher is trusted is another question. */
export interface OpenedBundle {
  readonly statement: Statement
  /** Name of the key that signed it. */
  readonly keyId: string
  /** What carries the signature; kept beside the files, it proves them again. */
  readonly envelope: ArchiveFile
  /** Exactly the files of the statement. */
  readonly files: readonly ArchiveFile[]
}

const envelopeCheck = Compile(Envelope)
const statementCheck = Compile(Statement)

/**
 * Opens a bundle from anybody. Pure: touches no disk and runs nothing of it. Throws FLT_BUNDLE_… with the reason where anything is
 * missing, added, changed or larger than {@link bundleLimits}.
 */
export function openBundle(bytes: Buffer): OpenedBundle {
  return openFiles(readTar(unpack(bytes)))
}

/** The same for a bundle that was unpacked: all its files, `bundle.json` first. */
export function openFiles([first, ...files]: readonly ArchiveFile[]): OpenedBundle {
  if (first?.path !== envelopePath) throw archive(`${envelopePath} is not first`)
  const { statement, keyId } = readStatement(first.content)
  checkFiles(statement, files)
  checkManifest(statement, files)
  return { statement, keyId, envelope: first, files }
}

function unpack(bytes: Buffer): Buffer {
  if (bytes.length > bundleLimits.packedBytes)
    throw bundleError('FLT_BUNDLE_TOO_LARGE', {
      problem: `${bytes.length} of ${bundleLimits.packedBytes} bytes`,
    })
  // Magic, deflate, and no flags: no names, comments or extra fields.
  if (!bytes.subarray(0, 4).equals(Buffer.from([0x1f, 0x8b, 8, 0]))) throw archive('it is not gzip')
  const { buffer, used } = inflate(bytes.subarray(gzipHead))
  const end = bytes.subarray(gzipHead + used)
  if (end.length !== gzipTail)
    throw archive(end.length < gzipTail ? 'it is cut off' : 'there is data behind its end')
  if (end.readUInt32LE(0) !== crc32(buffer) || end.readUInt32LE(4) !== buffer.length)
    throw archive('its checksum is wrong')
  return buffer
}

const gzipHead = 10
const gzipTail = 8

/** Gzip is taken apart here, because Node's own reader passes over what follows the first stream. */
function inflate(bytes: Buffer): { readonly buffer: Buffer; readonly used: number } {
  try {
    const options = { maxOutputLength: bundleLimits.unpackedBytes, info: true }
    const { buffer, engine } = inflateRawSync(bytes, options) as unknown as {
      readonly buffer: Buffer
      readonly engine: { readonly bytesWritten: number }
    }
    return { buffer, used: engine.bytesWritten }
  } catch (error) {
    if (error instanceof RangeError)
      throw bundleError('FLT_BUNDLE_TOO_LARGE', {
        problem: `it unpacks to more than ${bundleLimits.unpackedBytes} bytes`,
      })
    throw archive(error instanceof Error ? error.message : 'it is not gzip')
  }
}

function archive(problem: string): Error {
  return bundleError('FLT_BUNDLE_ARCHIVE', { problem })
}

function readStatement(content: Buffer): { readonly statement: Statement; readonly keyId: string } {
  if (content.length > bundleLimits.envelopeBytes)
    throw bundleError('FLT_BUNDLE_TOO_LARGE', { problem: 'its statement' })
  const envelope = parse(content)
  if (!envelopeCheck.Check(envelope))
    throw bundleError('FLT_BUNDLE_SIGNATURE', { problem: 'there is no envelope' })
  const statement = parse(Buffer.from(envelope.payload, 'base64'))
  if (!statementCheck.Check(statement)) {
    const [problem] = statementCheck.Errors(statement)
    throw bundleError('FLT_BUNDLE_STATEMENT', {
      problem: problem ? `${problem.instancePath || 'it'} ${problem.message}` : 'it is not a statement',
    })
  }
  const keyId = keyIdOf(statement.publisher)
  if (envelope.signatures[0]?.keyid !== keyId || !signedBy(envelope, statement.publisher))
    throw bundleError('FLT_BUNDLE_SIGNATURE', { problem: `it was not made by the key ${keyId} it names` })
  return { statement, keyId }
}

function signedBy(envelope: Envelope, publisher: string): boolean {
  try {
    return verifyEnvelope(envelope, importPublicKey(publisher))
  } catch {
    return false
  }
}

function checkFiles({ files: stated }: Statement, files: readonly ArchiveFile[]): void {
  const found = new Map(files.map((file) => [file.path, file.content]))
  for (const { path, bytes, sha256 } of stated) {
    const content = found.get(path)
    if (!content) throw bundleError('FLT_BUNDLE_FILE', { path, problem: 'it is missing' })
    if (content.length !== bytes || createHash('sha256').update(content).digest('hex') !== sha256)
      throw bundleError('FLT_BUNDLE_FILE', { path, problem: 'its content is another' })
    found.delete(path)
  }
  for (const path of found.keys()) throw bundleError('FLT_BUNDLE_FILE', { path, problem: 'it was added' })
}

/** What was signed as asked for must be what the host will read. */
function checkManifest({ id, version, manifest }: Statement, files: readonly ArchiveFile[]): void {
  const found = files.find(({ path }) => path === 'package.json')
  const json = found && parse(found.content)
  const says = (problem: string): Error => bundleError('FLT_BUNDLE_STATEMENT', { problem })
  if (typeof json !== 'object' || json === null || !('fleetupdate' in json))
    throw says('package.json is missing')
  if (!isDeepStrictEqual(json.fleetupdate, manifest) || manifest.id !== id)
    throw says('its manifest is not the one in package.json')
  if (!('version' in json) || json.version !== version)
    throw says('its version is not the one in package.json')
  const paths = new Set(files.map(({ path }) => path))
  const { server, executor, panel } = manifest
  for (const entry of [server, executor, panel?.module, ...(panel?.styles ?? [])])
    if (entry !== undefined && !paths.has(entry.replace(/^\.\//, '')))
      throw says(`it lacks the file ${entry}`)
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}

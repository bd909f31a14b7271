import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { FleetError } from '@fleetupdate/sdk'
import { fleetError } from '../errors.ts'
import { listFiles } from './files.ts'
import {
  type BackupFile,
  isAuthentic,
  keyIdOf,
  type Manifest,
  manifestName,
  readManifest,
} from './manifest.ts'
import { type ArchivedFile, unpackFiles } from './tar.ts'

/** A backup whose manifest was made with this master key and is as it was made. */
export interface OpenedBackup {
  readonly manifest: Manifest
  /**
   * Hands over every file once, whole and as the manifest says. Throws FLT_BACKUP_DAMAGED at the first that is not, and where one is
   * missing or too many.
   */
  readFiles(take: (file: ArchivedFile) => Promise<void>): Promise<void>
}

export interface BackupKey {
  readonly masterKey: Uint8Array
  /** For the message to people. */
  readonly masterKeyFile: string
  /** The archive, where it was opened already by somebody who may read it; it stays open. */
  readonly file?: FileHandle
}

const manifestBytes = 64 * 1024 * 1024

/**
 * Opens an archive, or the folder that one was unpacked to. Throws FLT_BACKUP_MISSING, FLT_BACKUP_DAMAGED, FLT_BACKUP_VERSION for one of a
 * later format, FLT_BACKUP_KEY for one of another master key.
 */
export async function openBackup(path: string, key: BackupKey): Promise<OpenedBackup> {
  const { file } = key
  const found = await (file?.stat() ?? stat(path)).catch(() => undefined)
  if (!found) throw fleetError('FLT_BACKUP_MISSING', { path })
  const archive = (): Readable => (file ? Readable.from(contentOf(file)) : createReadStream(path))
  const files = (): AsyncGenerator<ArchivedFile> =>
    found.isDirectory() ? folderFiles(path) : unpackFiles(archive())
  const manifest = trusted(path, key, await manifestText(path, files()))
  return {
    manifest,
    async readFiles(take) {
      const wanted = new Map(manifest.files.map((file) => [file.path, file]))
      await damagedBy(path, async () => {
        for await (const file of files()) {
          if (file.path === manifestName) continue
          const listed = wanted.get(file.path)
          if (!listed || listed.bytes !== file.bytes)
            throw damaged(path, `${file.path} is not as it was made`)
          wanted.delete(file.path)
          await take({ ...file, content: checked(path, file, listed) })
        }
      })
      const [missing] = wanted.keys()
      if (missing !== undefined) throw damaged(path, `${missing} is missing`)
    },
  }
}

/** Reads all of a backup and compares it with its manifest; answers the manifest. */
export async function verifyBackup(path: string, key: BackupKey): Promise<Manifest> {
  const backup = await openBackup(path, key)
  await backup.readFiles(async ({ content }) => {
    for await (const _ of content);
  })
  return backup.manifest
}

async function manifestText(path: string, files: AsyncGenerator<ArchivedFile>): Promise<string> {
  return damagedBy(path, async () => {
    for await (const file of files) {
      // It is the first one, so that nothing has to be trusted before it.
      if (file.path !== manifestName) break
      if (file.bytes > manifestBytes) throw damaged(path, `${manifestName} is too large`)
      const pieces: Buffer[] = []
      for await (const piece of file.content) pieces.push(piece)
      return Buffer.concat(pieces).toString('utf8')
    }
    throw damaged(path, `it does not begin with ${manifestName}`)
  })
}

function trusted(path: string, { masterKey, masterKeyFile }: BackupKey, text: string): Manifest {
  const read = readManifest(text)
  if (read.kind === 'newer') throw fleetError('FLT_BACKUP_VERSION', { path, version: read.version })
  if (read.kind === 'malformed') throw damaged(path, read.problem)
  const { manifest } = read
  if (manifest.keyId !== keyIdOf(masterKey)) throw fleetError('FLT_BACKUP_KEY', { path, file: masterKeyFile })
  if (!isAuthentic(manifest, masterKey)) throw damaged(path, 'somebody changed its list of files')
  return manifest
}

/** From its beginning, however often it was read; a stream of the handle itself would close it. */
async function* contentOf(file: FileHandle): AsyncGenerator<Buffer> {
  for (let position = 0; ; ) {
    const { bytesRead, buffer } = await file.read({ buffer: Buffer.allocUnsafe(1 << 16), position })
    if (bytesRead === 0) return
    position += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

async function* folderFiles(folder: string): AsyncGenerator<ArchivedFile> {
  const paths = (await listFiles(folder)).filter((path) => path !== manifestName)
  const text = await readFile(join(folder, manifestName)).catch(() => undefined)
  if (text) yield { path: manifestName, bytes: text.length, content: once(text) }
  for (const path of paths.sort()) {
    const file = await stat(join(folder, path))
    if (!file.isFile()) throw new Error(`${path} is not a plain file`)
    yield { path, bytes: file.size, content: createReadStream(join(folder, path)) }
  }
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

/** The same bytes, and an error at their end where they are not those of the manifest. */
async function* checked(path: string, file: ArchivedFile, { sha256 }: BackupFile): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  for await (const piece of file.content) {
    hash.update(piece)
    yield piece
  }
  if (hash.digest('hex') !== sha256) throw damaged(path, `${file.path} is not as it was made`)
}

async function damagedBy<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof FleetError || isDiskError(error)) throw error
    throw damaged(path, error instanceof Error ? error.message : String(error))
  }
}

/** Trouble where files are written, not with the backup that is read. */
function isDiskError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error
}

function damaged(path: string, problem: string): FleetError {
  return fleetError('FLT_BACKUP_DAMAGED', { path, problem })
}

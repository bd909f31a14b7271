import { existsSync } from 'node:fs'
import { link, mkdir, mkdtemp, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { FleetError } from '@fleetupdate/sdk'
import { fleetError } from '../errors.ts'
import { copyFileDurably, measureFile, syncPath } from './files.ts'
import { type BackupFile, backupFormat, keyIdOf, manifestName, writeManifest } from './manifest.ts'
import { type BackupKey, verifyBackup } from './open-backup.ts'
import { findParts } from './parts.ts'
import { takeSnapshot } from './snapshot.ts'
import { packFiles } from './tar.ts'

export interface BackupOptions extends BackupKey {
  readonly dataDir: string
  /** A new file, or a folder in which one with the date in its name is made. */
  readonly target: string
  /** Of this program. */
  readonly version: string
  readonly now?: () => number
}

export interface MadeBackup {
  readonly path: string
  readonly bytes: number
  readonly madeAt: string
  readonly files: readonly BackupFile[]
  /** Entries of the data folder that are not part of it. */
  readonly leftOut: readonly string[]
}

const mostTries = 5

/**
 * Backs up a data folder while a server may be writing to it: all databases as they were at one moment, the audit's checkpoints and the
 * installed plugins, never the master key. The archive appears under its name only when it is whole, durable and verified. Throws
 * FLT_BACKUP_EXISTS, FLT_BACKUP_FAILED, FLT_STORE_CORRUPT, FLT_CLI_NO_DATA.
 */
export async function createBackup(options: BackupOptions): Promise<MadeBackup> {
  const { dataDir, masterKey, version, now = Date.now } = options
  if (!existsSync(join(dataDir, 'core.db'))) throw fleetError('FLT_CLI_NO_DATA', { path: dataDir })
  const madeAt = new Date(now()).toISOString()
  const path = await targetFile(options.target, madeAt)
  return failingAt(path, async () => {
    const work = await mkdtemp(`${path}.`)
    try {
      const staged = join(work, 'staged')
      await mkdir(staged, { mode: 0o700 })
      const { paths, leftOut } = await stage(dataDir, staged)
      const files: BackupFile[] = []
      for (const each of paths) files.push({ path: each, ...(await measureFile(join(staged, each))) })
      const contents = { format: backupFormat, version, madeAt, keyId: keyIdOf(masterKey), files }
      await writeFile(join(staged, manifestName), writeManifest(contents, masterKey), { mode: 0o600 })
      const archive = join(work, 'archive')
      await packFiles(staged, [manifestName, ...paths], archive)
      await syncPath(archive)
      await verifyBackup(archive, options)
      await publish(archive, path)
      return { path, bytes: (await stat(path)).size, madeAt, files, leftOut }
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  })
}

/** Copies everything into a folder; the order is what makes it consistent (see parts.ts). */
async function stage(
  dataDir: string,
  staged: string,
): Promise<{ paths: readonly string[]; leftOut: readonly string[] }> {
  const { before, databases, leftOut } = await findParts(dataDir)
  for (const path of before) await copyFileDurably(join(dataDir, path), join(staged, path))
  await mkdir(join(staged, 'plugins-data'), { mode: 0o700 })
  const snapshot = takeSnapshot(dataDir, databases)
  try {
    for (const name of databases) await snapshot.copy(name, join(staged, name))
  } finally {
    snapshot.close()
  }
  const after = await copyPlugins(dataDir, staged)
  return { paths: [...before, ...databases, ...after], leftOut }
}

/** A plugin may be installed or removed meanwhile: then all of them are copied again. */
async function copyPlugins(dataDir: string, staged: string): Promise<readonly string[]> {
  for (let tries = 1; ; tries++) {
    const { after } = await findParts(dataDir)
    try {
      for (const path of after) await copyFileDurably(join(dataDir, path), join(staged, path))
      return after
    } catch (error) {
      const hasChanged = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      if (!hasChanged || tries === mostTries) throw error
      for (const folder of new Set(after.map((path) => path.split('/')[0] ?? '')))
        await rm(join(staged, folder), { recursive: true, force: true })
    }
  }
}

async function targetFile(target: string, madeAt: string): Promise<string> {
  const path = resolve(target)
  const found = await stat(path).catch(() => undefined)
  if (!found) return path
  if (!found.isDirectory()) throw fleetError('FLT_BACKUP_EXISTS', { path })
  return join(path, `fleetupdate-${madeAt.slice(0, 19).replaceAll(':', '-')}Z.tar.gz`)
}

/** By a link, which fails where the name is taken: a backup never replaces another. */
async function publish(archive: string, path: string): Promise<void> {
  try {
    await link(archive, path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST')
      throw fleetError('FLT_BACKUP_EXISTS', { path })
    throw error
  }
  await unlink(archive)
  await syncPath(dirname(path))
}

async function failingAt<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof FleetError) throw error
    const problem = error instanceof Error ? error.message : String(error)
    throw fleetError('FLT_BACKUP_FAILED', { path, problem }, { cause: error })
  }
}

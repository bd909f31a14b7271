import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { fleetError } from '../errors.ts'
import { troubleOf } from '../store/sqlite-trouble.ts'
import { syncFolders, syncPath } from './files.ts'
import type { Manifest } from './manifest.ts'
import { type BackupKey, openBackup } from './open-backup.ts'
import { backedUpNames } from './parts.ts'
import { type Settled, settleRestored } from './settle-restored.ts'
import { checkDatabase } from './snapshot.ts'
import { writeArchived } from './tar.ts'

export interface RestoreOptions extends BackupKey {
  readonly backup: string
  readonly dataDir: string
  /** Moves what is there aside; without it only an empty data folder is taken. */
  readonly replace: boolean
  /** Who restores, for the audit. */
  readonly actor: string
  readonly now?: () => number
}

export interface Restored extends Settled {
  readonly manifest: Manifest
  /** Where the former data is now; undefined where there was none. */
  readonly aside: string | undefined
}

/** Stands in a data folder while a restore changes it: a server does not start on half of one. */
const restoreMarker = 'restore-in-progress'

/**
 * Puts a backup into a data folder whose server is stopped. Everything is unpacked and checked beside the old data first; what is wrong is
 * said before anything changed. The master key, agents' state and other entries of the folder stay as they are. Throws FLT_BACKUP_*,
 * FLT_STORE_CORRUPT, FLT_STORE_MIGRATION.
 */
export async function restoreBackup(options: RestoreOptions): Promise<Restored> {
  const { dataDir, replace, backup: path, now = Date.now } = options
  const backup = await openBackup(path, options)
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const isAgain = existsSync(join(dataDir, restoreMarker))
  assertStopped(dataDir)
  const present = await presentNames(dataDir)
  if (present.length > 0 && !replace && !isAgain) throw fleetError('FLT_BACKUP_TARGET', { path: dataDir })

  const stamp = `${new Date(now()).toISOString().slice(0, 19).replaceAll(':', '-')}Z`
  const staged = join(dataDir, `restoring-${randomBytes(4).toString('hex')}`)
  try {
    await mkdir(staged, { mode: 0o700 })
    await backup.readFiles((file) => writeArchived(file, staged))
    for (const { path: file } of backup.manifest.files)
      if (isDatabase(file)) checkDatabase(join(staged, file), file)
    const settled = await settleRestored(staged, {
      ...options,
      backup: { madeAt: backup.manifest.madeAt, version: backup.manifest.version },
      now,
    })
    await syncFolders(staged)
    const aside = await swap({ dataDir, staged, present, aside: join(dataDir, `before-restore-${stamp}`) })
    return { ...settled, manifest: backup.manifest, aside }
  } finally {
    await rm(staged, { recursive: true, force: true })
  }
}

/** Throws FLT_BACKUP_INTERRUPTED where a restore changed this folder and did not come to its end. */
export function assertNotHalfRestored(dataDir: string): void {
  if (existsSync(join(dataDir, restoreMarker))) throw fleetError('FLT_BACKUP_INTERRUPTED', { path: dataDir })
}

interface Swap {
  readonly dataDir: string
  readonly staged: string
  readonly present: readonly string[]
  readonly aside: string
}

/** Inside the folder, by renames: it may be a mount, and the folder above it another's. */
async function swap({ dataDir, staged, present, aside }: Swap): Promise<string | undefined> {
  const marker = join(dataDir, restoreMarker)
  await writeFile(marker, 'A restore was interrupted. Run it again: fleetupdate restore BACKUP\n', {
    mode: 0o600,
  })
  await syncPath(marker)
  await syncPath(dataDir)
  if (present.length > 0) {
    await mkdir(aside, { mode: 0o700 })
    for (const name of present) await rename(join(dataDir, name), join(aside, name))
    await syncPath(aside)
  }
  for (const name of await readdir(staged)) await rename(join(staged, name), join(dataDir, name))
  await syncPath(dataDir)
  await rm(marker)
  await syncPath(dataDir)
  return present.length > 0 ? aside : undefined
}

async function presentNames(dataDir: string): Promise<string[]> {
  const own = new Set([...backedUpNames, 'core.db-wal', 'core.db-shm'])
  const found: string[] = []
  for (const name of await readdir(dataDir)) {
    if (!own.has(name)) continue
    const isEmpty = !name.includes('.') && (await readdir(join(dataDir, name))).length === 0
    if (isEmpty) await rm(join(dataDir, name), { recursive: true })
    else found.push(name)
  }
  return found
}

/** Every process that has the database open holds a lock on it: nobody else can then have it alone. */
function assertStopped(dataDir: string): void {
  const file = join(dataDir, 'core.db')
  if (!existsSync(file)) return
  let db: Database.Database | undefined
  try {
    db = new Database(file, { timeout: 0 })
    db.pragma('locking_mode = EXCLUSIVE')
    db.prepare('SELECT count(*) FROM sqlite_master').get()
  } catch (error) {
    if (troubleOf(error) === 'busy')
      throw fleetError('FLT_BACKUP_RUNNING', { path: dataDir }, { cause: error })
    // A damaged database is what restores are for.
  } finally {
    db?.close()
  }
}

function isDatabase(path: string): boolean {
  return path === 'core.db' || /^plugins-data\/[^/]+\.db$/.test(path)
}

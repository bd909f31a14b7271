import { join } from 'node:path'
import Database from 'better-sqlite3'
import { fleetError } from '../errors.ts'
import { problemOf, troubleOf } from '../store/sqlite-trouble.ts'

/** Databases of a data folder, all as they were at one moment, while a server goes on writing. */
export interface Snapshot {
  /** Copies one, in small steps, into a new file that is whole by itself. Throws FLT_STORE_CORRUPT where it is damaged. */
  copy(name: string, to: string): Promise<void>
  close(): void
}

/** 4 MiB at once, so that the disk also has time for the server. */
const pagesInStep = 1024
const busyMs = 30_000

/**
 * Takes the snapshot: a read transaction on each file, begun one right after the other in the given order. What they see does not
 * change any more, and no writer waits for them; only the write-ahead logs grow until `close`.
 */
export function takeSnapshot(dataDir: string, names: readonly string[]): Snapshot {
  const handles = new Map<string, Database.Database>()
  const close = (): void => {
    for (const db of handles.values()) db.close()
  }
  try {
    // Opened first, so that the moments at which they begin lie close together.
    for (const name of names) handles.set(name, open(join(dataDir, name)))
    for (const [name, db] of handles) guard(join(dataDir, name), () => begin(db))
  } catch (error) {
    close()
    throw error
  }
  return {
    close,
    async copy(name, to) {
      const from = join(dataDir, name)
      const db = handles.get(name)
      if (!db) throw new Error(`${name} is not part of this snapshot.`)
      const copied = db.backup(to, { progress: () => pagesInStep })
      await copied.catch((error: unknown) => rethrow(from, error))
      guard(from, () => makeWhole(to))
    },
  }
}

/** Throws FLT_STORE_CORRUPT where SQLite finds a file damaged; leaves nothing beside it. */
export function checkDatabase(path: string, name: string): void {
  guard(name, () => {
    const db = new Database(path, { readonly: true, fileMustExist: true })
    try {
      const found = String(db.pragma('integrity_check(1)', { simple: true }))
      if (found !== 'ok') throw fleetError('FLT_STORE_CORRUPT', { file: name, problem: found })
    } finally {
      db.close()
    }
  })
}

function open(path: string): Database.Database {
  return guard(path, () => new Database(path, { readonly: true, fileMustExist: true, timeout: busyMs }))
}

function begin(db: Database.Database): void {
  db.exec('BEGIN')
  // The snapshot is taken by the first read.
  db.prepare('SELECT count(*) FROM sqlite_master').get()
}

/** One file without a log beside it, and looked through. */
function makeWhole(path: string): void {
  const db = new Database(path)
  try {
    db.pragma('journal_mode = DELETE')
    const found = String(db.pragma('integrity_check(1)', { simple: true }))
    if (found !== 'ok') throw fleetError('FLT_STORE_CORRUPT', { file: path, problem: found })
  } finally {
    db.close()
  }
}

function guard<T>(file: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    return rethrow(file, error)
  }
}

function rethrow(file: string, error: unknown): never {
  if (troubleOf(error) === 'corrupt')
    throw fleetError('FLT_STORE_CORRUPT', { file, problem: problemOf(error) }, { cause: error })
  if (troubleOf(error) === 'busy') throw fleetError('FLT_STORE_BUSY', {}, { cause: error })
  throw error
}

import { join } from 'node:path'
import Database from 'better-sqlite3'
import { fleetError } from '../errors.ts'
import { makeFolder } from './create-store.ts'

/** Name of the file in DATA_DIR that whoever works with the data holds; it is empty. */
export const dataLockName = 'server.lock'

/**
 * Makes this process the only one that works with a data folder, and answers what gives it back. The kernel gives it back too, when the
 * process dies in any way. Throws FLT_DATA_DIR_TAKEN where another one holds it for longer than `waitMs`; blocks that long.
 */
export async function holdDataDir(dir: string, waitMs = 10_000): Promise<() => void> {
  await makeFolder(dir)
  const lock = open(join(dir, dataLockName), waitMs)
  try {
    // Node has no flock; the lock of an exclusive transaction is one of the kernel's, tied to this process.
    lock.exec('begin exclusive')
  } catch (cause) {
    lock.close()
    throw isBusy(cause) ? fleetError('FLT_DATA_DIR_TAKEN', { path: dir }, { cause }) : unusable(dir, cause)
  }
  return () => {
    lock.close()
  }
}

function open(file: string, waitMs: number): Database.Database {
  try {
    return new Database(file, { timeout: waitMs })
  } catch (cause) {
    throw unusable(file, cause)
  }
}

function unusable(path: string, cause: unknown): Error {
  const problem = cause instanceof Error ? cause.message : String(cause)
  return fleetError('FLT_START_DATA_DIR', { path, problem }, { cause })
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('SQLITE_BUSY')
}

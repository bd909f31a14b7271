/** What an error of SQLite means for the one who writes. */
export type Trouble = 'busy' | 'full' | 'conflict' | 'corrupt' | 'failed' | 'mistake'

/**
 * Sorts an error: `busy` may be tried again, `full` left the batch out, `conflict` lost a race, `corrupt` is a damaged file,
 * `failed` is a disk that can't be trusted any more, and `mistake` is a statement that can never work.
 */
export function troubleOf(error: unknown): Trouble {
  const code = sqliteCode(error)
  if (code === undefined) return 'mistake'
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) return 'busy'
  // Without room, SQLite can't grow its shared memory either.
  if (code === 'SQLITE_FULL' || code === 'SQLITE_IOERR_SHMSIZE') return 'full'
  if (/^SQLITE_CONSTRAINT_(UNIQUE|PRIMARYKEY|ROWID|FOREIGNKEY)$/.test(code)) return 'conflict'
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(code)) return 'corrupt'
  if (/^SQLITE_(IOERR|READONLY|CANTOPEN|PROTOCOL|PERM|NOLFS)/.test(code)) return 'failed'
  return 'mistake'
}

/** SQLite's own name of an error (`SQLITE_IOERR_FSYNC`), where it is one of SQLite's. */
export function sqliteCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined
  return error.code.startsWith('SQLITE_') ? error.code : undefined
}

/** One line about any thrown value. */
export function problemOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  const code = sqliteCode(error)
  return code === undefined ? text : `${text} (${code})`
}

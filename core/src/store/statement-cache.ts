import type { Database, Statement } from 'better-sqlite3'

/** Prepared statements of one handle by their text; the least recently used go first beyond 500. */
export interface StatementCache {
  get(sql: string): Statement<unknown[], Record<string, unknown>>
  clear(): void
}

const most = 500

/** Keeps what was prepared on one handle. `check` sees each text before it is prepared, and may throw. */
export function createStatementCache(db: Database, check: (sql: string) => void = () => {}): StatementCache {
  const known = new Map<string, Statement<unknown[], Record<string, unknown>>>()
  return {
    get(sql) {
      const old = known.get(sql)
      if (old) {
        known.delete(sql)
        known.set(sql, old)
        return old
      }
      check(sql)
      const statement = db.prepare<unknown[], Record<string, unknown>>(sql)
      known.set(sql, statement)
      const [oldest] = known.keys()
      if (known.size > most && oldest !== undefined) known.delete(oldest)
      return statement
    },
    clear: () => known.clear(),
  }
}

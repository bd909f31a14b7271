import { Kysely, SqliteDialect } from 'kysely'
import type { Migration, PluginDatabase } from '../contract/plugin.ts'
import { importBeside } from './import-beside.ts'

/** A plugin's database for one test. */
export interface TestDatabase extends PluginDatabase {
  /** The next write is refused, as by a full disk. */
  failNext(): void
  close(): void
}

/**
 * A real database in memory with the plugin's tables. A write is one transaction, and is refused with FLT_STORE_CONFLICT where an
 * expected row count does not hold, as on the server. Needs the package `better-sqlite3` beside the sdk.
 *
 * @example
 * const db = await openTestDatabase(migrations)
 */
export async function openTestDatabase(migrations: readonly Migration[]): Promise<TestDatabase> {
  const { default: Database } = await importBeside('better-sqlite3', () => import('better-sqlite3'))
  const sqlite = new Database(':memory:')
  const query = new Kysely<Record<string, never>>({ dialect: new SqliteDialect({ database: sqlite }) })
  for (const migration of migrations) await migration.up(query)
  let failures = 0
  return {
    query,
    failNext: () => {
      failures += 1
    },
    close: () => void sqlite.close(),
    async write(statements) {
      await new Promise((resolve) => setImmediate(resolve))
      if (failures > 0) {
        failures -= 1
        throw new Error('the disk is full')
      }
      return sqlite.transaction(() =>
        statements.map(({ sql, parameters, expectedRows }) => {
          const statement = sqlite.prepare(sql)
          const rows = statement.reader ? statement.all(...parameters) : []
          const changes = statement.reader ? rows.length : statement.run(...parameters).changes
          if (expectedRows !== undefined && changes !== expectedRows)
            throw Object.assign(new Error(`${changes} rows instead of ${expectedRows}: ${sql}`), {
              code: 'FLT_STORE_CONFLICT',
            })
          return { changes, rows: rows as Record<string, unknown>[] }
        }),
      )()
    },
  }
}

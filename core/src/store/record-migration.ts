import type { Migration } from '@fleetupdate/sdk'
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import type { WriteStatement } from './store.ts'

/** Runs a migration against a database that only writes down: the statements, in order, without touching a file. */
export async function recordMigration({ name, up }: Migration): Promise<readonly WriteStatement[]> {
  const statements: WriteStatement[] = []
  const connection: DatabaseConnection = {
    async executeQuery(query: CompiledQuery) {
      if (reads(query))
        throw new Error(`Migration "${name}" reads. A migration is recorded first: it can only write.`)
      statements.push({ sql: query.sql, parameters: query.parameters })
      return { rows: [] }
    },
    streamQuery() {
      throw new Error(`Migration "${name}" reads. A migration is recorded first: it can only write.`)
    },
  }
  const db = new Kysely<unknown>({ dialect: recordingDialect(connection, name) })
  await up(db)
  return statements
}

function reads({ sql, query }: CompiledQuery): boolean {
  return query.kind === 'SelectQueryNode' || /^\s*(select|with|pragma|values)\b/i.test(sql)
}

function recordingDialect(connection: DatabaseConnection, name: string): Dialect {
  const refuse = async (): Promise<void> => {
    throw new Error(`Migration "${name}" opens a transaction. It is applied as one already.`)
  }
  const driver: Driver = {
    init: async () => {},
    acquireConnection: async () => connection,
    beginTransaction: refuse,
    commitTransaction: refuse,
    rollbackTransaction: refuse,
    releaseConnection: async () => {},
    destroy: async () => {},
  }
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => driver,
    createIntrospector: (kysely) => new SqliteIntrospector(kysely),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
}

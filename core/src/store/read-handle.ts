import { setTimeout as delay } from 'node:timers/promises'
import { FleetError } from '@fleetupdate/sdk'
import Database from 'better-sqlite3'
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import { fleetError } from '../errors.ts'
import { problemOf, sqliteCode, troubleOf } from './sqlite-trouble.ts'
import { createStatementCache } from './statement-cache.ts'

const lockPollMs = 20

export interface ReadHandle<Tables> {
  readonly query: Kysely<Tables>
  close(): void
}

/**
 * A read-only Kysely on one file, in this thread: each query is one short snapshot. Writing through it throws; a lock of another
 * process delays a query up to `busyMs` without blocking the loop.
 */
export function openReadHandle<Tables>(
  path: string,
  busyMs: number,
  onDamaged: (error: FleetError) => void = () => undefined,
): ReadHandle<Tables> {
  const db = new Database(path, { readonly: true, fileMustExist: true, timeout: 0 })
  db.pragma('query_only = ON')
  const connection = createConnection(db, { path, busyMs, onDamaged })
  const driver: Driver = {
    init: async () => {},
    acquireConnection: async () => connection,
    beginTransaction: refuseTransaction,
    commitTransaction: refuseTransaction,
    rollbackTransaction: refuseTransaction,
    releaseConnection: async () => {},
    destroy: async () => {},
  }
  const dialect: Dialect = {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => driver,
    createIntrospector: (kysely) => new SqliteIntrospector(kysely),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
  return { query: new Kysely<Tables>({ dialect }), close: () => void db.close() }
}

interface Reading {
  readonly path: string
  readonly busyMs: number
  onDamaged(error: FleetError): void
}

function createConnection(db: Database.Database, { path, busyMs, onDamaged }: Reading): DatabaseConnection {
  const statements = createStatementCache(db)
  return {
    async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
      const giveUpAt = performance.now() + busyMs
      for (;;) {
        try {
          return { rows: read(sql, parameters) as Row[] }
        } catch (error) {
          const isBusy = troubleOf(error) === 'busy' && performance.now() < giveUpAt
          const problem = isBusy ? undefined : readError(error, path)
          if (problem instanceof FleetError && problem.code === 'FLT_STORE_CORRUPT') onDamaged(problem)
          if (problem) throw problem
        }
        await delay(lockPollMs)
      }
    },
    streamQuery() {
      throw new Error('Reads are short and paged: use execute() with a limit instead of stream().')
    },
  }

  function read(sql: string, parameters: readonly unknown[]): unknown[] {
    const statement = statements.get(sql)
    if (!statement.readonly) throw new Error(onlyReads)
    return statement.all(...parameters)
  }
}

const onlyReads = 'This handle only reads. Compile the query and hand it to write([…]).'

async function refuseTransaction(): Promise<void> {
  throw new Error('There are no interactive transactions. Hand all statements to write([…]) as one batch.')
}

function readError(error: unknown, file: string): unknown {
  if (sqliteCode(error) === 'SQLITE_READONLY') return new Error(onlyReads, { cause: error })
  switch (troubleOf(error)) {
    case 'busy':
      return fleetError('FLT_STORE_BUSY', {}, { cause: error })
    case 'corrupt':
      return fleetError('FLT_STORE_CORRUPT', { file, problem: problemOf(error) }, { cause: error })
    default:
      return error
  }
}

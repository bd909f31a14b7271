import { EventEmitter } from 'node:events'
import type { Migration, PluginContext, PluginDatabase } from '@fleetupdate/sdk'
import Database from 'better-sqlite3'
import Fastify from 'fastify'
import { Kysely, SqliteDialect } from 'kysely'

/** A real database in memory with the plugin's tables; a write is one transaction, as the server does it. */
export async function openTestDatabase(
  migrations: readonly Migration[],
): Promise<PluginDatabase & { close(): void; failNext(): void }> {
  const sqlite = new Database(':memory:')
  const query = new Kysely<Record<string, never>>({ dialect: new SqliteDialect({ database: sqlite }) })
  for (const migration of migrations) await migration.up(query)
  let failures = 0
  return {
    query,
    close: () => sqlite.close(),
    /** The next write is refused, as by a full disk. */
    failNext: () => (failures += 1),
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

export interface TestHost {
  readonly context: PluginContext
  readonly events: EventEmitter
  /** What was handed to each `ctx.` registration, by its name. */
  readonly registered: Map<string, unknown>
  readonly tasks: ((signal: AbortSignal) => void | Promise<void>)[]
  dispose(): void
}

/** Lends a server part its database and a real HTTP server; agents and commands are what the test says. */
export function createTestHost(db: PluginDatabase, parts: Partial<PluginContext>): TestHost {
  const abort = new AbortController()
  const events = new EventEmitter()
  const registered = new Map<string, unknown>()
  const tasks: TestHost['tasks'] = []
  const app = Fastify({ logger: false, forceCloseConnections: true })
  const quiet = (): void => undefined
  const context = {
    db,
    http: Object.assign(app, { root: app }),
    events: { on: (name: string, handler: (payload: unknown) => void) => events.on(name, handler) },
    schedule: { every: (_: number, task: (signal: AbortSignal) => void) => tasks.push(task) },
    output: { provide: (store: unknown) => registered.set('output', store) },
    live: { topic: (name: string, open: unknown) => registered.set(`topic ${name}`, open) },
    settings: { get: async () => undefined, set: async () => undefined },
    onFacts: (handler: unknown) => registered.set('facts', handler),
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    signal: abort.signal,
    ...parts,
  } as unknown as PluginContext
  return { context, events, registered, tasks, dispose: () => abort.abort() }
}

import { EventEmitter } from 'node:events'
import type { FastifyInstance } from 'fastify'
import type { AnyContract, FactName, FactValue } from '../contract/contract.ts'
import type { FleetEvents } from '../contract/events.ts'
import type { LiveSubscription, OutputStore, Plugin, PluginContext } from '../contract/plugin.ts'
import { importBeside } from './import-beside.ts'
import { openTestDatabase, type TestDatabase } from './open-test-database.ts'

/** The server part of one plugin, set up and reachable. */
export interface TestServerPart<C extends AnyContract = AnyContract> {
  /** What its setup was given. */
  readonly context: PluginContext<C>
  readonly db: TestDatabase
  /** Its routes as on the server, `/api/plugins/<id>/…` and those of `http.root`; to `inject` into, or to `listen` with. */
  readonly http: FastifyInstance
  /** What it told people, the oldest first. */
  readonly notices: readonly Parameters<PluginContext['notify']>[0][]
  /** An agent reported, just now or at `observedAt` (ISO 8601 by fact); resolves when the plugin has taken it. */
  report(
    agentId: string,
    facts: { readonly [K in FactName<C>]?: FactValue<C, K> },
    observedAt?: Readonly<Record<string, string>>,
  ): Promise<void>
  emit<E extends keyof FleetEvents>(event: E, payload: FleetEvents[E]): void
  /** Runs once what it does every so often. */
  runScheduled(): Promise<void>
  /** Subscribes to one of its live topics; resolves when that ends. */
  subscribe(topic: string, subscription: LiveSubscription): Promise<void>
  /** The output store it provides; throws where it provides none. */
  output(): OutputStore
  /** Aborts `signal`, as where the plugin is disabled; its routes and database stay open. */
  dispose(): void
  stop(): Promise<void>
}

/**
 * Sets up a server part with a database and an HTTP server that are real and its own. `services` are what the test says of the fleet:
 * agents, commands, secrets; what it does not say is not there. Needs the packages `better-sqlite3` and `fastify` beside the sdk.
 *
 * @example
 * const part = await startServerPart(plugin)
 * await part.report('vm-01', { usedPercent: 95 })
 * expect(part.notices).toHaveLength(1)
 */
export async function startServerPart<const C extends AnyContract>(
  plugin: Plugin<C>,
  services: Partial<PluginContext<C>> = {},
): Promise<TestServerPart<C>> {
  const { default: Fastify } = await importBeside('fastify', () => import('fastify'))
  const db = await openTestDatabase(plugin.migrations)
  // As the server builds it.
  const app = Fastify({
    logger: false,
    forceCloseConnections: true,
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: true } },
  })
  app.addHook('onRoute', ({ config, method, url }) => {
    if (config === undefined || !('role' in config))
      throw new Error(`the route ${method} ${url} has no role (config: { role: 'viewer' })`)
  })
  const abort = new AbortController()
  const events = new EventEmitter()
  const settings = new Map<string, unknown>()
  const notices: Parameters<PluginContext['notify']>[0][] = []
  const topics = new Map<string, (subscription: LiveSubscription) => void | Promise<void>>()
  const onFacts: Parameters<PluginContext<C>['onFacts']>[0][] = []
  const tasks: ((signal: AbortSignal) => void | Promise<void>)[] = []
  const quiet = (): void => undefined
  let output: OutputStore | undefined
  const own = {
    db,
    onFacts: (handler) => void onFacts.push(handler),
    output: {
      provide: (store) => {
        output = store
      },
    },
    live: { topic: (name, open) => void topics.set(name, open) },
    events: { on: (event, handler) => void events.on(event, handler) },
    settings: {
      get: async (key) => settings.get(key),
      set: async (key, value) => void settings.set(key, value),
    },
    schedule: { every: (_intervalMs, task) => void tasks.push(task) },
    notify: (notice) => void notices.push(notice),
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    signal: abort.signal,
    server: { version: '0.0.0', startedAt: new Date().toISOString() },
  } satisfies Partial<PluginContext<C>>
  let context: PluginContext<C> | undefined
  app.register(
    async (scope) => {
      context = { ...own, ...services, http: Object.assign(scope, { root: app }) } as PluginContext<C>
      await plugin.setup?.(context)
    },
    { prefix: `/api/plugins/${plugin.contract.id}` },
  )
  const stop = async (): Promise<void> => {
    abort.abort()
    await app.close()
    db.close()
  }
  try {
    await app.ready()
  } catch (error) {
    await stop()
    throw error
  }
  return {
    context: context as unknown as PluginContext<C>,
    db,
    http: app,
    notices,
    async report(agentId, facts, given = {}) {
      const now = new Date().toISOString()
      const observedAt = Object.fromEntries(Object.keys(facts).map((fact) => [fact, given[fact] ?? now]))
      for (const handler of onFacts) await handler({ agentId, facts, observedAt })
    },
    emit: (event, payload) => void events.emit(event, payload),
    async runScheduled() {
      for (const task of tasks) await task(abort.signal)
    },
    async subscribe(topic, subscription) {
      const open = topics.get(topic)
      if (!open)
        throw new Error(`The plugin has no topic "${topic}"; it has: ${[...topics.keys()].join(', ')}.`)
      await open(subscription)
    },
    output() {
      if (!output) throw new Error('The plugin provides no output store.')
      return output
    },
    dispose: () => abort.abort(),
    stop,
  }
}

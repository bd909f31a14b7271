import type { AnyContract, PluginContext, PluginDatabase } from '@fleetupdate/sdk'
import type { Disposers } from './disposers.ts'
import type { FleetServices } from './fleet-services.ts'

/**
 * What one plugin may use. Everything registered through it lands in `disposers`, so that the host can undo it, in reverse
 * order, also after a half-failed setup.
 */
export function createContext(
  id: string,
  services: FleetServices,
  parts: { readonly db: PluginDatabase; readonly http: PluginContext['http']; readonly disposers: Disposers },
): PluginContext<AnyContract> {
  const { disposers } = parts
  const log = prefixed(services.log, id)
  const report = (what: string) => (error: unknown) => log.error(`${what} failed`, { error: String(error) })
  return {
    agents: services.agents,
    facts: { read: (agentId) => services.readFacts(agentId, id) },
    onFacts: (handler) =>
      disposers.add(services.onFactsStored(id, (update) => handler(update as Parameters<typeof handler>[0]))),
    commands: {
      ...services.commands,
      submit: (agentId, command, input, options = {}) =>
        services.submit(id, agentId, command, input, options),
    },
    output: { provide: (store) => disposers.add(services.provideOutput(store)) },
    db: parts.db,
    http: parts.http,
    live: { topic: (name, open, rule) => disposers.add(services.live.topic(name, open, rule)) },
    events: {
      on: (event, handler) => disposers.add(services.bus.on(event, handler)),
    },
    settings: createSettings(id, services),
    secrets: createSecrets(id, services),
    schedule: {
      every: (intervalMs, task) =>
        disposers.add(repeat(intervalMs, task, disposers.signal, report('A scheduled task'))),
    },
    notify: (notice) => services.bus.emit('notice.created', { ...notice, plugin: id }),
    log,
    gateway: {
      async connect(agentId, agent) {
        const session = await services.attachExternal(agentId, agent)
        disposers.add(() => session.close())
        return session
      },
    },
    signal: disposers.signal,
    server: { version: services.version, startedAt: services.startedAt },
  }
}

/** Kept beside the settings, sealed: nothing without the master key. */
function createSecrets(plugin: string, services: FleetServices): PluginContext['secrets'] {
  const { sealer } = services
  const settings = createSettings(plugin, services)
  const contextOf = (key: string): string => `plugin:${plugin}:${key}`
  return {
    async get(key) {
      const sealed = await settings.get(`secret:${key}`)
      if (typeof sealed !== 'string') return undefined
      return sealer.open(Buffer.from(sealed, 'base64'), contextOf(key)).toString('utf8')
    },
    set(key, value) {
      const sealed = value === undefined ? null : sealer.seal(Buffer.from(value), contextOf(key))
      return settings.set(`secret:${key}`, sealed && Buffer.from(sealed).toString('base64'))
    },
  }
}

function createSettings(plugin: string, { store }: FleetServices): PluginContext['settings'] {
  return {
    async get(key) {
      const row = await store.read
        .selectFrom('plugin_settings')
        .select('value')
        .where('plugin', '=', plugin)
        .where('key', '=', key)
        .executeTakeFirst()
      return row && JSON.parse(row.value)
    },
    async set(key, value) {
      const text = JSON.stringify(value ?? null)
      const query = store.read
        .insertInto('plugin_settings')
        .values({ plugin, key, value: text })
        .onConflict((conflict) => conflict.columns(['plugin', 'key']).doUpdateSet({ value: text }))
      await store.write([query.compile()])
    },
  }
}

/** Runs a task again and again, never two at once, until it is disposed. */
function repeat(
  intervalMs: number,
  task: (signal: AbortSignal) => void | Promise<void>,
  signal: AbortSignal,
  report: (error: unknown) => void,
): () => void {
  let running = false
  const timer = setInterval(async () => {
    if (running) return
    running = true
    try {
      await task(signal)
    } catch (error) {
      report(error)
    } finally {
      running = false
    }
  }, intervalMs)
  timer.unref()
  return () => clearInterval(timer)
}

function prefixed(log: FleetServices['log'], plugin: string): FleetServices['log'] {
  return {
    debug: (message, data) => log.debug(message, { plugin, ...data }),
    info: (message, data) => log.info(message, { plugin, ...data }),
    warn: (message, data) => log.warn(message, { plugin, ...data }),
    error: (message, data) => log.error(message, { plugin, ...data }),
  }
}

import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Plugin } from '@fleetupdate/sdk'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { fleetError } from '../errors.ts'
import type { ReportError, ReportRefusal } from '../http/error-handler.ts'
import type { Authenticate } from '../http/mount-routes.ts'
import { compileContract } from './compile-contract.ts'
import { createContext } from './context.ts'
import { createContracts, type LiveContracts } from './contracts.ts'
import { type Discovered, discoverPlugins } from './discover.ts'
import { createDisposers, type Disposers } from './disposers.ts'
import { createInstance, type PluginInstance, type PluginRoute } from './instance.ts'
import { orderPlugins } from './order.ts'
import { createRouteTable } from './route-table.ts'
import type { FleetServices } from './services.ts'

export type PluginState = 'active' | 'disabled' | 'failed'

/** One installed plugin and how it is. `reason` is a sentence for people. */
export interface PluginStatus {
  readonly plugin: Discovered
  readonly state: PluginState
  readonly reason?: string
  readonly routes: readonly PluginRoute[]
}

export interface PluginHost {
  readonly contracts: LiveContracts
  /** Discover → validate → migrate → setup → active. A failing plugin is a state; this never rejects because of one. */
  start(services: FleetServices): Promise<void>
  list(): readonly PluginStatus[]
  /** The plugin whose path this is, whatever its state. */
  owner(path: string): string | undefined
  /** Hands a request over to the plugin; throws 503 where it is not active. */
  dispatch(id: string, request: FastifyRequest, reply: FastifyReply): void
  dispose(): Promise<void>
}

export interface PluginHostOptions {
  readonly folders: readonly string[]
  /** Asked at the start: the paths the core serves itself. */
  corePaths(): readonly string[]
  readonly https: boolean
  readonly authenticate: Authenticate
  readonly report: ReportError
  /** Told of everything a plugin's route refused. */
  readonly refused?: ReportRefusal
  /** For loading, setup and becoming ready, each. */
  readonly timeoutMs: number
}

interface Running {
  readonly instance: PluginInstance
  readonly disposers: Disposers
}

export function createPluginHost(options: PluginHostOptions): PluginHost {
  const table = createRouteTable(() => options.corePaths())
  const statuses = new Map<string, PluginStatus>()
  const running = new Map<string, Running>()
  const contracts = createContracts((id) => {
    const status = statuses.get(id)
    return status && (status.reason ?? status.state)
  })
  const reportError = (error: unknown): void => options.report(error, 'plugin')

  const setState = (
    services: FleetServices,
    plugin: Discovered,
    state: PluginState,
    reason?: string,
  ): void => {
    const routes = running.get(plugin.id)?.instance.routes ?? []
    statuses.set(plugin.id, { plugin, state, routes, ...(reason === undefined ? {} : { reason }) })
    services.bus.emit('plugin.changed', { id: plugin.id, state })
    if (state === 'failed') services.log.error(`Plugin "${plugin.id}" is not active: ${reason}`)
  }

  const activate = async (services: FleetServices, plugin: Discovered): Promise<void> => {
    const disposers = createDisposers()
    try {
      const loaded = await within(options.timeoutMs, 'loading it', loadServerPart(plugin))
      if (loaded.contract.id !== plugin.id)
        throw new Error(`its contract has the id "${loaded.contract.id}", its manifest "${plugin.id}"`)
      const compiled = compileContract(loaded.contract)
      const db = await services.store.openPlugin(plugin.id, loaded.migrations)
      disposers.add(() => db.close())
      const instance = await within(
        options.timeoutMs + 1000,
        'its setup',
        createInstance({ ...options, id: plugin.id, rootPaths: plugin.manifest.routes ?? [] }, (http) =>
          loaded.setup?.(createContext(plugin.id, services, { db, http, disposers })),
        ),
      )
      disposers.add(() => instance.app.close())
      running.set(plugin.id, { instance, disposers })
      contracts.add(compiled)
      setState(services, plugin, 'active')
    } catch (error) {
      await disposers.dispose(reportError)
      setState(services, plugin, 'failed', sentence(error))
    }
  }

  return {
    contracts,
    async start(services) {
      const disabled = new Set(
        (
          await services.store.read
            .selectFrom('plugin_states')
            .select('id')
            .where('disabledAt', 'is not', null)
            .execute()
        ).map((row) => row.id),
      )
      const usable: Discovered[] = []
      for (const plugin of await discoverPlugins(options.folders)) {
        if (statuses.has(plugin.id) && plugin.problem) {
          services.log.error(`The plugin in ${plugin.dir} is left out: ${plugin.problem}`)
          continue
        }
        const conflict = plugin.problem ?? table.claim(plugin.id, plugin.manifest.routes ?? [])
        if (conflict !== undefined) setState(services, plugin, 'failed', conflict)
        else if (disabled.has(plugin.id)) setState(services, plugin, 'disabled', 'an admin disabled it')
        else usable.push(plugin)
        if (!statuses.has(plugin.id))
          statuses.set(plugin.id, { plugin, state: 'failed', reason: 'it is still starting', routes: [] })
      }
      const { order, refused } = orderPlugins(
        usable.map(({ id, manifest }) => ({ id, dependsOn: manifest.dependsOn ?? [] })),
      )
      for (const plugin of usable) {
        const reason = refused.get(plugin.id)
        if (reason !== undefined) setState(services, plugin, 'failed', reason)
      }
      for (const id of order) {
        const plugin = usable.find((candidate) => candidate.id === id)
        if (!plugin) continue
        const broken = (plugin.manifest.dependsOn ?? []).find(
          (needed) => statuses.get(needed)?.state !== 'active',
        )
        if (broken === undefined) await activate(services, plugin)
        else setState(services, plugin, 'failed', `it needs "${broken}", which is not active`)
      }
    },
    list: () => [...statuses.values()],
    owner: (path) => table.owner(path),
    dispatch(id, request, reply) {
      const target = running.get(id)
      if (!target) {
        const status = statuses.get(id)
        if (!status) throw fleetError('FLT_PLUGIN_UNKNOWN', { id: id.slice(0, 64) })
        throw fleetError('FLT_PLUGIN_UNAVAILABLE', { id, reason: status.reason ?? status.state })
      }
      reply.hijack()
      target.instance.app.routing(request.raw, reply.raw)
    },
    async dispose() {
      for (const [id, { disposers }] of [...running].reverse()) {
        contracts.remove(id)
        await disposers.dispose(reportError)
      }
      running.clear()
    },
  }
}

async function loadServerPart(plugin: Discovered): Promise<Plugin> {
  if (plugin.manifest.server === undefined) throw new Error('its manifest names no server part')
  const file = join(plugin.dir, plugin.manifest.server)
  if (!existsSync(file))
    throw new Error(`its server part ${plugin.manifest.server} is missing; build the plugin first`)
  const { mtimeMs } = await stat(file)
  const module: { default?: unknown } = await import(`${pathToFileURL(file).href}?v=${mtimeMs}`)
  if (!isPlugin(module.default)) throw new Error('its server part has no default export made by definePlugin')
  return module.default
}

function isPlugin(value: unknown): value is Plugin {
  if (typeof value !== 'object' || value === null) return false
  const { contract, migrations, setup } = value as Partial<Plugin>
  return (
    typeof contract?.id === 'string' &&
    typeof contract.facts === 'object' &&
    typeof contract.facets === 'object' &&
    typeof contract.commands === 'object' &&
    Array.isArray(migrations) &&
    (setup === undefined || typeof setup === 'function')
  )
}

async function within<T>(timeoutMs: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${timeoutMs / 1000} s`)), timeoutMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

function sentence(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return (text.split('\n', 1)[0] ?? text).slice(0, 500)
}

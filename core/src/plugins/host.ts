import type { FastifyReply, FastifyRequest } from 'fastify'
import { fleetError } from '../errors.ts'
import type { ClientAddress } from '../http/client-address.ts'
import type { ReportError, ReportRefusal } from '../http/error-handler.ts'
import type { Authenticate } from '../http/mount-routes.ts'
import { compileContract } from './compile-contract.ts'
import { createContext } from './context.ts'
import { type ContractVersion, contractBreak } from './contract-changes.ts'
import { createContracts, type LiveContracts } from './contracts.ts'
import { readDecisions, writeDisabled } from './disabled-plugins.ts'
import { type Discovered, discoverPlugin, discoverPlugins } from './discover.ts'
import { createDisposers, type Disposers } from './disposers.ts'
import type { FleetServices } from './fleet-services.ts'
import { createInstance, type PluginInstance, type PluginRoute } from './instance.ts'
import { loadServerPart } from './load-server-part.ts'
import { orderPlugins } from './order.ts'
import { createRouteTable } from './route-table.ts'

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
  /** Starts an installed plugin, now and at every start. That it fails is its state, as everywhere. */
  enable(id: string): Promise<PluginStatus>
  /** Stops a plugin, now and at every start, until it is enabled. Throws FLT_PLUGIN_NEEDED where active ones depend on it. */
  disable(id: string): Promise<PluginStatus>
  /** Takes in the plugin of a folder and starts it, in place of one with the same id, whose contract it may only break by its version. */
  install(dir: string): Promise<PluginStatus>
  /** Stops a plugin and forgets it; its folder is the caller's. Throws FLT_PLUGIN_NEEDED. */
  remove(id: string): Promise<void>
  dispose(): Promise<void>
}

export interface PluginHostOptions {
  readonly folders: readonly string[]
  /** Asked at the start: the paths the core serves itself. */
  corePaths(): readonly string[]
  readonly https: boolean
  readonly clientAddress?: ClientAddress
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
  /** Whose database turned out damaged, until they are stopped. */
  const damaged = new Set<string>()
  let lent: FleetServices | undefined
  let changes: Promise<unknown> = Promise.resolve()

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

  const activate = async (
    services: FleetServices,
    plugin: Discovered,
    replaced?: ContractVersion,
  ): Promise<void> => {
    const disposers = createDisposers()
    try {
      const loaded = await within(options.timeoutMs, 'loading it', loadServerPart(plugin))
      if (loaded.contract.id !== plugin.id)
        throw new Error(`its contract has the id "${loaded.contract.id}", its manifest "${plugin.id}"`)
      const broken = replaced && contractBreak(replaced, { ...plugin, contract: loaded.contract })
      if (broken !== undefined) throw new Error(broken)
      const compiled = compileContract(loaded.contract)
      const db = await services.store.openPlugin(plugin.id, loaded.migrations, (error) =>
        failDamaged(services, plugin, error),
      )
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

  /** Its database turned out damaged while it ran: it alone stops, and says why. */
  const failDamaged = (services: FleetServices, plugin: Discovered, error: Error): void => {
    if (!running.has(plugin.id) || damaged.has(plugin.id)) return
    damaged.add(plugin.id)
    services.log.error(error.message, { plugin: plugin.id })
    changes = changes
      .then(() => stop(plugin.id))
      .then(() => setState(services, plugin, 'failed', sentence(error)))
      .catch(reportError)
      .finally(() => damaged.delete(plugin.id))
  }

  const stop = async (id: string): Promise<void> => {
    const target = running.get(id)
    if (!target) return
    contracts.remove(id)
    running.delete(id)
    await target.disposers.dispose(reportError)
  }

  /** Starts one whose state was none of running, beside all the others. */
  const startOne = async (
    services: FleetServices,
    plugin: Discovered,
    replaced?: ContractVersion,
  ): Promise<void> => {
    table.release(plugin.id)
    const conflict = plugin.problem ?? table.claim(plugin.id, plugin.manifest.routes ?? [])
    const missing = plugin.manifest.dependsOn?.find((needed) => !running.has(needed))
    if (conflict !== undefined) setState(services, plugin, 'failed', conflict)
    else if (missing !== undefined)
      setState(services, plugin, 'failed', `it needs "${missing}", which is not active`)
    else await activate(services, plugin, replaced)
  }

  const statusOf = (id: string): PluginStatus => {
    const status = statuses.get(id)
    if (!status) throw fleetError('FLT_PLUGIN_UNKNOWN', { id: id.slice(0, 64) })
    return status
  }

  const refuseWhereNeeded = (id: string): void => {
    const needing = [...running.keys()].filter((other) =>
      statuses.get(other)?.plugin.manifest.dependsOn?.includes(id),
    )
    if (needing.length > 0) throw fleetError('FLT_PLUGIN_NEEDED', { id, others: needing.join(', ') })
  }

  /** One change at a time, after the start. */
  const change = <T>(work: (services: FleetServices) => Promise<T>): Promise<T> => {
    const done = changes.then(() => {
      if (!lent) throw fleetError('FLT_PLUGIN_STARTING')
      return work(lent)
    })
    changes = done.catch(() => undefined)
    return done
  }

  return {
    contracts,
    async start(services) {
      const decisions = await readDecisions(services.store)
      const usable: Discovered[] = []
      for (const plugin of await discoverPlugins(options.folders)) {
        const conflict = plugin.problem ?? table.claim(plugin.id, plugin.manifest.routes ?? [])
        if (conflict !== undefined) setState(services, plugin, 'failed', conflict)
        else if (!(decisions.get(plugin.id) ?? plugin.manifest.offByDefault !== true))
          setState(
            services,
            plugin,
            'disabled',
            decisions.has(plugin.id) ? 'an admin disabled it' : offReason,
          )
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
      lent = services
    },
    enable: (id) =>
      change(async (services) => {
        const { plugin } = statusOf(id)
        await writeDisabled(services.store, id, null)
        if (!running.has(id)) await startOne(services, (await discoverPlugin(plugin.dir)) ?? plugin)
        return statusOf(id)
      }),
    disable: (id) =>
      change(async (services) => {
        const { plugin } = statusOf(id)
        refuseWhereNeeded(id)
        await writeDisabled(services.store, id, Date.now())
        await stop(id)
        setState(services, plugin, 'disabled', 'an admin disabled it')
        return statusOf(id)
      }),
    install: (dir) =>
      change(async (services) => {
        const plugin = await discoverPlugin(dir)
        if (!plugin) throw fleetError('FLT_PLUGIN_UNKNOWN', { id: dir })
        await writeDisabled(services.store, plugin.id, null)
        const contract = contracts.contract(plugin.id)?.contract
        const replaced = contract && { version: statusOf(plugin.id).plugin.version, contract }
        await stop(plugin.id)
        await startOne(services, plugin, replaced)
        return statusOf(plugin.id)
      }),
    remove: (id) =>
      change(async (services) => {
        statusOf(id)
        refuseWhereNeeded(id)
        await stop(id)
        table.release(id)
        statuses.delete(id)
        await writeDisabled(services.store, id, null)
        services.bus.emit('plugin.changed', { id, state: 'removed' })
      }),
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
      lent = undefined
      await changes
      for (const [id, { disposers }] of [...running].reverse()) {
        contracts.remove(id)
        await disposers.dispose(reportError)
      }
      running.clear()
    },
  }
}

const offReason = 'it is off until an admin enables it'

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

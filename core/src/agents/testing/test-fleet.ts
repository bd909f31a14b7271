import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AnyContract, defineContract, type FleetEvents, Type } from '@fleetupdate/sdk'
import Fastify from 'fastify'
import { createAudit } from '../../audit/create-audit.ts'
import { auditMigrations } from '../../audit/migrations.ts'
import { createSealer } from '../../auth/sealer.ts'
import { commandMigrations } from '../../commands/migrations.ts'
import { createOutputHook, type OutputHook } from '../../commands/output-hook.ts'
import { createEventBus, type EventBus } from '../../events/bus.ts'
import { registerErrorHandler } from '../../http/error-handler.ts'
import { mountRoutes } from '../../http/mount-routes.ts'
import { registerJsonBodies } from '../../http/raw-body.ts'
import type { SignedIn } from '../../http/routes.ts'
import { registerUpgrades } from '../../http/upgrades.ts'
import { compileContract } from '../../plugins/compile-contract.ts'
import { createContracts, type LiveContracts } from '../../plugins/contracts.ts'
import { createStore } from '../../store/create-store.ts'
import type { Store } from '../../store/store.ts'
import { createFleet, type Fleet } from '../create-fleet.ts'
import type { DeliverableBundles } from '../delivery.ts'
import { agentMigrations } from '../migrations.ts'
import { enrol, WireAgent } from './wire-agent.ts'

/** A real server around the agents' and commands' rooms: real store, real sockets, one person who may do everything. */
export interface TestFleet {
  readonly url: string
  readonly fleet: Fleet
  readonly store: Store
  readonly bus: EventBus
  readonly hook: OutputHook
  readonly contracts: LiveContracts
  /** What was logged as a warning or an error. */
  readonly logged: string[]
  /** Moves the server's clock. */
  advance(ms: number): void
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  /** Enrols an agent with SERVER_PSK; it is not connected. */
  agent(id: string): Promise<WireAgent>
  /** The next event that matches. */
  event<E extends keyof FleetEvents>(
    name: E,
    matches?: (payload: FleetEvents[E]) => boolean,
  ): Promise<FleetEvents[E]>
  /** The same data folder in a new server, as after a restart. */
  restart(): Promise<TestFleet>
  dispose(): Promise<void>
}

export interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests read whatever came
  readonly body: any
}

export const psk = 'a secret that the agents know'

/** Facts, facets, commands with and without a lane. */
export const wireContract = defineContract('wire', {
  facts: { settled: Type.Integer(), pending: Type.Object({ count: Type.Integer() }), name: Type.String() },
  facets: {
    outdated: (facts) => facts.pending && facts.pending.count > 0,
    pending: (facts) => facts.pending?.count,
    name: (facts) => facts.name,
  },
  commands: {
    run: {
      input: Type.Object({ n: Type.Optional(Type.Integer()) }, { additionalProperties: false }),
      result: Type.Object({ sum: Type.Integer() }),
      lane: 'packages',
    },
    free: {},
    follow: { endless: true },
    wipe: { role: 'admin' },
  },
})

export async function startTestFleet(
  options: {
    readonly dir?: string
    readonly contracts?: readonly AnyContract[]
    readonly skewMs?: number
    readonly bundles?: DeliverableBundles
    readonly approveAll?: boolean
    readonly keyRotationMs?: number
  } = {},
): Promise<TestFleet> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'fleet-')))
  let skewMs = options.skewMs ?? 0
  const logged: string[] = []
  const note = (message: string, data?: unknown): void =>
    void logged.push(`${message} ${JSON.stringify(data)}`)
  const log = { debug: () => undefined, info: () => undefined, warn: note, error: note }
  const store = await createStore({
    dir,
    migrations: [agentMigrations, commandMigrations, auditMigrations],
    onFatal: (error) => note(error.message),
  })
  const bus = createEventBus((error) => note(String(error)))
  const contracts = createContracts(() => undefined)
  for (const contract of options.contracts ?? [wireContract]) contracts.add(compileContract(contract))
  const hook = createOutputHook()
  const masterKey = Buffer.alloc(32, 7)
  const audit = await createAudit({ store, masterKey, checkpoints: undefined, log })
  const fleet = await createFleet({
    bundles: options.bundles ?? { wanted: () => [], read: async () => undefined },
    store,
    sealer: createSealer(Buffer.alloc(32, 7)),
    audit,
    bus,
    contracts,
    hook,
    log,
    masterKey,
    psk: Buffer.from(psk),
    ...(options.approveAll === undefined ? {} : { approveAll: options.approveAll }),
    ...(options.keyRotationMs === undefined ? {} : { keyRotationMs: options.keyRotationMs }),
    publicUrls: [],
    version: '0.0.0-test',
    instanceId: `server-${Math.random()}`,
    now: () => Date.now() + skewMs,
  })
  const app = Fastify({ forceCloseConnections: true })
  registerErrorHandler(app, (error) => note(String(error)))
  registerJsonBodies(app)
  mountRoutes(app, fleet.routes, async ({ headers }) => ({
    ...person,
    role: headers['x-role'] === 'operator' ? 'operator' : 'admin',
  }))
  registerUpgrades(app.server, {
    '/api/agent/connect': (request, socket, head) => void fleet.handleUpgrade(request, socket, head),
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  const agents: WireAgent[] = []
  const stop = async (): Promise<void> => {
    await fleet.dispose()
    await audit.dispose()
    for (const agent of agents) agent.terminate()
    await app.close()
    await store.close()
  }

  return {
    url,
    fleet,
    store,
    bus,
    hook,
    contracts,
    logged,
    advance(ms) {
      skewMs += ms
    },
    async call(method, path, body, headers = {}) {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      return { status: response.status, body: await response.json() }
    },
    async agent(id) {
      const agent = new WireAgent(url, await enrol(url, id, { id: 'psk', text: psk }))
      agents.push(agent)
      return agent
    },
    event: (name, matches = () => true) =>
      new Promise((resolve) => {
        const end = bus.on(name, (payload) => {
          if (!matches(payload)) return
          end()
          resolve(payload)
        })
      }),
    async restart() {
      await stop()
      return startTestFleet({ ...options, dir, skewMs })
    },
    async dispose() {
      await stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

const person: SignedIn = { name: 'ada', role: 'admin', userId: 'u1', sessionId: 's1' }

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { GatewayAgent, GatewaySession, Log } from '@fleetupdate/sdk'
import { limits, type WantedExecutors } from '@fleetupdate/sdk/protocol'
import type { Audit } from '../audit/create-audit.ts'
import { createAgentKeys } from '../auth/agent-keys.ts'
import { createAgentSignatures } from '../auth/agent-signatures.ts'
import { createNonceMemory } from '../auth/nonce-memory.ts'
import type { Sealer } from '../auth/sealer.ts'
import type { OutputHook } from '../commands/output-hook.ts'
import { type CommandQueue, createCommandQueue } from '../commands/queue.ts'
import { commandRoutes } from '../commands/routes.ts'
import type { EventBus } from '../events/bus.ts'
import type { Route } from '../http/routes.ts'
import type { ContractRegistry } from '../plugins/registry.ts'
import type { Store } from '../store/store.ts'
import { createAdmission } from './admission.ts'
import { createDelivery, type DeliverableBundles } from './delivery.ts'
import { createEnrolment } from './enrolment.ts'
import { createConclusion } from './enrolment-conclusion.ts'
import { createEnrolmentRequests } from './enrolment-requests.ts'
import { createEnrolmentTokens, standingToken } from './enrolment-tokens.ts'
import { executorRoutes } from './executor-routes.ts'
import { createExecutorSets, type ExecutorCounts } from './executor-sets.ts'
import { createExternal } from './external.ts'
import { followContracts } from './facets.ts'
import { createFactHooks, type FactHooks } from './fact-hooks.ts'
import { createFacts } from './facts.ts'
import { createFleetIndex } from './fleet-index.ts'
import { createPollGateway } from './gateway/gateway-poll.ts'
import { createSocketGateway } from './gateway/gateway-socket.ts'
import { createHandshakeGate } from './gateway/handshake-gate.ts'
import { createInbound } from './gateway/inbound.ts'
import { createKeyRotation } from './key-rotation.ts'
import { createPresence, storeAllOffline } from './presence.ts'
import { createQuarantine } from './quarantine.ts'
import { type AgentRegistry, createRegistry, loadIndex } from './registry.ts'
import { requestRoutes } from './request-routes.ts'
import { createRevocation } from './revocation.ts'
import { agentRoutes } from './routes.ts'
import { createTickets } from './tickets.ts'
import { tokenRoutes } from './token-routes.ts'
import { trustRoutes } from './trust-routes.ts'

/** The server's heart: agents, their channels, and the command queue. */
export interface Fleet {
  readonly registry: AgentRegistry
  readonly queue: CommandQueue
  readonly facts: Pick<FactHooks, 'onStored'>
  readonly routes: readonly Route[]
  /** For upgrade requests to GET /api/agent/connect. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void>
  attachExternal(agentId: string, agent?: GatewayAgent): Promise<GatewaySession>
  /** A single-use enrolment token for this id, valid for an hour; '' where the id is or was enrolled. */
  invite(agentId: string): Promise<string>
  /** Plugin id → `<version>/<contract hash>` → number of agents. */
  executorCounts(): ExecutorCounts
  /** Closes every channel and stores who was there. The store must still be open. */
  dispose(): Promise<void>
}

export interface FleetOptions {
  readonly store: Store
  readonly sealer: Sealer
  readonly audit: Audit
  readonly bus: EventBus
  readonly contracts: ContractRegistry
  readonly hook: OutputHook
  readonly log: Log
  /** From which the keys of session tickets are derived. */
  readonly masterKey: Uint8Array
  /** The bytes of SERVER_PSK, where it is set. */
  readonly psk: Uint8Array | undefined
  /** Every enrolment waits until it is approved, whatever its token says. */
  readonly approveAll?: boolean
  /** How old the key of an agent gets; 0: it is never changed by itself. Default 30 days. */
  readonly keyRotationMs?: number
  readonly publicUrls: readonly URL[]
  /** SHA-256 of the installer for machines that reach this server by that address; undefined: there is none. */
  readonly installerSha256?: (serverUrl: string) => string | undefined
  readonly version: string
  readonly bundles: DeliverableBundles
  /** Names this server process. */
  readonly instanceId: string
  /** How long commands that ended, and enrolment tokens, are kept; default 90 days. */
  readonly keepMs?: number
  /** Unix ms; default the system's clock. */
  readonly now?: () => number
}

const pruneNoncesMs = 60_000
const defaultKeepMs = 90 * 24 * 3_600_000

/** Composes the rooms agents/ and commands/ on a migrated store. */
export async function createFleet(options: FleetOptions): Promise<Fleet> {
  const { store, sealer, audit, bus, contracts, hook, log, psk, version, publicUrls, instanceId } = options
  const {
    now = Date.now,
    keepMs = defaultKeepMs,
    approveAll = false,
    keyRotationMs = 30 * 24 * 3_600_000,
  } = options
  const { installerSha256 = () => undefined } = options
  const index = createFleetIndex()
  const executors = createExecutorSets()
  await storeAllOffline(store, now())
  await loadIndex(store, index, executors)
  const registry = createRegistry({ store, index, contracts })

  const keys = createAgentKeys({ store, sealer })
  const signatures = createAgentSignatures({
    store,
    keys,
    nonces: createNonceMemory(now),
    publicUrls,
    now,
    onRefused: ({ code }, agentId) =>
      audit.refused({
        actor: { type: 'nobody', id: '' },
        action: 'agent-request.refused',
        target: agentId,
        details: { code },
      }),
  })
  const presence = createPresence({ store, index, bus, log, instanceId, executors, now })
  const factHooks = createFactHooks(log)
  const facts = createFacts({ store, index, contracts, hooks: factHooks, bus })
  const unfollow = followContracts({ store, index, contracts, log })

  const { sessionOf, silentMs } = presence
  const queue = await createCommandQueue({
    store,
    index,
    contracts,
    hook,
    bus,
    log,
    audit,
    sessionOf,
    silentMs,
    keepMs,
    now,
  })
  const quarantine = createQuarantine({ store, audit, keys, index, presence, bus, now })
  const rotation = createKeyRotation({
    ...{ store, sealer, audit, keys, index, presence, bus, log, now },
    intervalMs: keyRotationMs,
  })
  const admission = createAdmission({
    ...{ presence, quarantine, log },
    tickets: createTickets(store, options.masterKey),
    keyUsed: rotation.keyUsed,
    live(session, hello) {
      if (session.isNextKey) {
        keys.forget(session.agentId)
        bus.emit('agent.rekeyed', { agentId: session.agentId })
      }
      queue.frames.hello(session, hello)
      rotation.live(session)
    },
  })
  const commands = queue.frames
  const inbound = createInbound({ store, presence, facts, commands, admission, rekey: rotation.frame, log })
  const report = (error: unknown): void => log.error('A poll failed', { error: String(error) })
  const delivery = createDelivery({ bundles: options.bundles, signatures, presence, bus, log })
  const wanted = (): WantedExecutors => delivery.wanted()
  const gate = createHandshakeGate({ now })
  const socket = createSocketGateway({
    ...{ store, signatures, presence, inbound, gate, log, version, wanted, now },
    addressOf: ({ socket }) => socket.remoteAddress ?? '',
  })
  const poll = createPollGateway({
    store,
    signatures,
    presence,
    inbound,
    gate,
    report,
    version,
    wanted,
    boot: instanceId,
    now,
  })

  const tokens = createEnrolmentTokens({ store, sealer, psk, now })
  if (psk) await store.write([standingToken(store, now())])
  const conclude = createConclusion({ store, audit, keys, index, bus, now })
  const requests = createEnrolmentRequests({ store, audit, bus, conclude, now })
  const enrolment = createEnrolment({ store, sealer, tokens, requests, conclude, approveAll, now })
  const revocation = createRevocation({
    store,
    keys,
    tokens,
    index,
    presence,
    executors,
    bus,
    audit,
    onRevoked: queue.agentRevoked,
    now,
  })
  const prune = setInterval(() => {
    const old = store.read.deleteFrom('agent_nonces').where('usedAt', '<', now() - limits.nonceSeconds * 1000)
    store
      .write([old.compile(), ...tokens.sweepStatements(keepMs)])
      .catch((error: unknown) =>
        log.error('Old nonces and tokens could not be removed', { error: String(error) }),
      )
  }, pruneNoncesMs)
  prune.unref()

  return {
    registry,
    queue,
    facts: factHooks,
    routes: [
      ...agentRoutes({ registry, enrolment, revocation, poll, delivery }),
      ...executorRoutes(executors),
      ...tokenRoutes({
        ...{ store, tokens, audit, publicUrls, installerSha256, now },
        hasPsk: psk !== undefined,
      }),
      ...requestRoutes({ requests }),
      ...trustRoutes({ rotation, quarantine, revocation, publicUrls, installerSha256 }),
      ...commandRoutes({ queue, registry, contracts }),
    ],
    handleUpgrade: socket.handleUpgrade,
    executorCounts: () => executors.counts(),
    async invite(agentId) {
      const taken = await store.read
        .selectFrom('agents')
        .select('id')
        .where('id', '=', agentId)
        .executeTakeFirst()
      if (taken) return ''
      const { token, statements } = tokens.create({ agentId, createdBy: 'npm start' })
      const actor = { type: 'console', id: 'start' } as const
      await store.write([
        ...statements,
        audit.row({ actor, action: 'enrolment-token.created', target: agentId }),
      ])
      return token
    },
    attachExternal: createExternal({
      ...{ store, index, presence, facts, bus, now },
      frames: queue.frames,
      receive: inbound.receive,
    }),
    async dispose() {
      clearInterval(prune)
      unfollow()
      delivery.dispose()
      queue.dispose()
      rotation.dispose()
      await presence.dispose()
      socket.dispose()
      poll.dispose()
    },
  }
}

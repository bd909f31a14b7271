import type { GatewaySession } from '@fleetupdate/sdk'
import { type AgentFrame, type FactItem, limits } from '@fleetupdate/sdk/protocol'
import { fleetError } from '../errors.ts'
import type { EventBus } from '../events/bus.ts'
import type { Store } from '../store/store.ts'
import type { Facts } from './facts.ts'
import type { FleetIndex } from './fleet-index.ts'
import type { Presence } from './presence.ts'
import type { AgentSession } from './session.ts'

export interface ExternalOptions {
  readonly store: Store
  readonly index: FleetIndex
  readonly presence: Presence
  readonly facts: Facts
  readonly bus: EventBus
  readonly now: () => number
}

/**
 * Lets a plugin speak for an agent of another protocol: it is listed, online while the plugin holds the session and has said something in
 * the last 60 s, and takes no commands. Facts are named `<plugin>.<fact>`. An id with a key of its own can't be spoken for.
 */
export function createExternal({ store, index, presence, facts, bus, now }: ExternalOptions) {
  const list = async (agentId: string): Promise<void> => {
    if (index.get(agentId)?.generation === 0) return
    const nowMs = now()
    const { sql, parameters } = store.read
      .insertInto('agents')
      .values({
        id: agentId,
        enrolledAt: nowMs,
        generation: 0,
        revokedAt: null,
        removedAt: null,
        online: 0,
        onlineChangedAt: nowMs,
        lastSeenAt: null,
        agentVersion: null,
        bootId: null,
        executors: '[]',
        apps: '[]',
        factRevision: 0,
      })
      .onConflict((conflict) => conflict.doNothing())
      .compile()
    await store.write([{ sql, parameters, expectedRows: 1 }]).catch(() => {
      throw fleetError('FLT_ENROL_ID_TAKEN', { id: agentId })
    })
    index.put({
      id: agentId,
      generation: 0,
      enrolledAt: nowMs,
      revoked: false,
      quarantine: undefined,
      online: false,
      lastSeenMs: null,
      facets: {},
    })
    bus.emit('agent.enrolled', { agentId })
  }

  return async (agentId: string): Promise<GatewaySession> => {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(agentId))
      throw fleetError('FLT_HTTP_INVALID', { problem: `"${agentId.slice(0, 64)}" is no agent id` })
    await list(agentId)
    const session: AgentSession = {
      agentId,
      generation: 0,
      kid: '',
      isNextKey: false,
      address: '',
      bootId: '',
      waiting: undefined,
      epoch: 0,
      lastHeardMs: now(),
      inbox: [] as AgentFrame[],
      draining: undefined,
      send: () => undefined,
      close: () => presence.end(session),
    }
    const hello = {
      type: 'hello',
      protocol: limits.protocol,
      agentVersion: '',
      bootId: '',
      attempts: [],
    } as const
    await presence.begin(session, { ...hello, executors: [], attempts: [] })
    let work: Promise<unknown> = Promise.resolve()
    return {
      agentId,
      facts(items) {
        presence.heard(session)
        const qualified = items.map((item): FactItem => {
          const dot = item.fact.indexOf('.')
          return { ...item, plugin: item.fact.slice(0, Math.max(0, dot)), fact: item.fact.slice(dot + 1) }
        })
        const stored = work.then(() => facts.receive(agentId, qualified))
        work = stored.catch(() => undefined)
        return stored.then(() => undefined)
      },
      close: () => presence.end(session),
    }
  }
}

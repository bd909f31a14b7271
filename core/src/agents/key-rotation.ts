import type { Log } from '@fleetupdate/sdk'
import {
  type AgentFrameOf,
  deriveNextRoot,
  type EphemeralKey,
  isSameProof,
  newEphemeralKey,
  rekeyConfirmation,
} from '@fleetupdate/sdk/protocol'
import type { Audit } from '../audit/create-audit.ts'
import { type AgentKeys, rootContext } from '../auth/agent-keys.ts'
import type { Sealer } from '../auth/sealer.ts'
import { fleetError } from '../errors.ts'
import type { EventBus } from '../events/bus.ts'
import type { Store, WriteStatement } from '../store/store.ts'
import { kidAfter } from './agent-kid.ts'
import type { FleetIndex } from './fleet-index.ts'
import type { Presence } from './presence.ts'
import type { RevokedBy } from './revocation.ts'
import type { AgentSession } from './session.ts'

/** Gives agents new keys while they are connected; both keys are good until the new one was used. */
export interface KeyRotation {
  /** A session counts: goes on with what an earlier one began, or begins where it is due. */
  live(session: AgentSession): void
  frame(session: AgentSession, frame: AgentFrameOf<'rekey'>): Promise<void>
  /** Statements of the beginning of a session that stands on the new key: it is the only one from then on. */
  keyUsed(session: AgentSession): readonly WriteStatement[]
  /** An admin wants it now; an agent that is away gets its new key when it is back. */
  want(agentId: string, by: RevokedBy): Promise<{ id: string; state: 'begun' | 'waiting' }>
  dispose(): void
}

export interface KeyRotationOptions {
  readonly store: Store
  readonly sealer: Sealer
  readonly audit: Audit
  readonly keys: AgentKeys
  readonly index: FleetIndex
  readonly presence: Presence
  readonly bus: EventBus
  readonly log: Log
  /** How old a key gets; 0: it is never changed by itself. */
  readonly intervalMs: number
  readonly now: () => number
}

interface Exchange {
  readonly session: AgentSession
  readonly kid: string
  readonly own: EphemeralKey
}

const sweepMs = 15_000
const begunPerSweep = 20
/** An agent that does not answer is asked again after this time. */
const askAgainMs = 24 * 3_600_000

export function createKeyRotation(options: KeyRotationOptions): KeyRotation {
  const { store, sealer, audit, keys, index, presence, bus, log, intervalMs, now } = options
  const { read } = store
  const exchanges = new Map<string, Exchange>()
  const askedMs = new Map<string, number>()

  const stateOf = (agentId: string) =>
    read
      .selectFrom('agent_keys')
      .innerJoin('agents', 'agents.id', 'agent_keys.agentId')
      .leftJoin('agent_next_keys', 'agent_next_keys.agentId', 'agent_keys.agentId')
      .select(['agent_keys.kid', 'agent_keys.createdAt', 'enrolledAt', 'rotateWantedAt'])
      .select(['agent_next_keys.kid as nextKid', 'agent_next_keys.confirmation'])
      .where('agent_keys.agentId', '=', agentId)
      .executeTakeFirst()

  const begin = (session: AgentSession, kid: string): void => {
    const own = newEphemeralKey()
    exchanges.set(session.agentId, { session, kid, own })
    askedMs.set(session.agentId, now())
    session.send({ type: 'rekey', kid, key: own.publicKey })
  }
  const goOn = async (session: AgentSession): Promise<boolean> => {
    const state = await stateOf(session.agentId)
    if (!state || !presence.isLive(session) || session.kid !== state.kid) return false
    const { nextKid, confirmation, createdAt, enrolledAt, rotateWantedAt } = state
    if (nextKid !== null && confirmation !== null) {
      session.send({ type: 'rekey', kid: nextKid, confirmation })
      return true
    }
    const age = now() - (createdAt || enrolledAt)
    if (rotateWantedAt === null && (intervalMs === 0 || age < intervalMs)) return false
    begin(session, kidAfter(state.kid))
    return true
  }
  const report = (agentId: string) => (error: unknown) =>
    log.error('An agent could not get a new key; it is tried again', { agentId, error: String(error) })

  const sweep = setInterval(() => {
    for (const [agentId, { session }] of exchanges) if (!presence.isLive(session)) exchanges.delete(agentId)
    void sweepDue().catch(report(''))
  }, sweepMs)
  sweep.unref()

  /** Old keys, and those that an admin wants changed, also from the console beside this server. */
  async function sweepDue(): Promise<void> {
    const before = intervalMs === 0 ? 0 : now() - intervalMs
    const due = await read
      .selectFrom('agent_keys')
      .innerJoin('agents', 'agents.id', 'agent_keys.agentId')
      .select('agentId')
      .where('online', '=', 1)
      .where(({ eb, or, and }) =>
        or([
          eb('rotateWantedAt', 'is not', null),
          and([eb('agent_keys.createdAt', '<', before), eb('enrolledAt', '<', before)]),
        ]),
      )
      .orderBy('agent_keys.createdAt')
      .limit(1_000)
      .execute()
    let begun = 0
    for (const { agentId } of due) {
      const session = presence.sessionOf(agentId)
      if (!session || (askedMs.get(agentId) ?? 0) + askAgainMs > now()) continue
      if (await goOn(session)) begun++
      if (begun >= begunPerSweep) return
    }
  }

  /** The agent proved that it has the new key: from now on both are good. */
  const keep = async (exchange: Exchange, agentKey: string, proof: string): Promise<void> => {
    const { session, kid, own } = exchange
    const { agentId } = session
    const old = await keys.get(agentId, session.kid)
    if (!old) return
    const transcript = { agentId, oldKid: session.kid, kid, agentKey, serverKey: own.publicKey }
    const root = deriveNextRoot(own, agentKey, old.root, transcript)
    if (!isSameProof(proof, rekeyConfirmation(root, 'agent', transcript)))
      throw new Error('the agent confirmed another key')
    const confirmation = rekeyConfirmation(root, 'server', transcript)
    const row = { kid, sealedRoot: sealer.seal(root, rootContext(agentId)), confirmation, createdAt: now() }
    const insert = read
      .insertInto('agent_next_keys')
      .values({ agentId, ...row })
      .onConflict((conflict) => conflict.doNothing())
      .compile()
    await store.write([{ sql: insert.sql, parameters: insert.parameters, expectedRows: 1 }])
    keys.forget(agentId)
    session.send({ type: 'rekey', kid, confirmation })
  }

  return {
    live(session) {
      if (session.kid !== '') void goOn(session).catch(report(session.agentId))
    },
    async frame(session, { kid, key, confirmation }) {
      const { agentId } = session
      if (key !== undefined && confirmation !== undefined) {
        const exchange = exchanges.get(agentId)
        if (exchange?.session !== session || exchange.kid !== kid) return
        exchanges.delete(agentId)
        return keep(exchange, key, confirmation)
      }
      // It does not have the key that was begun with it: that one was never used, and is not needed any more.
      const state = await stateOf(agentId)
      if (state?.nextKid !== kid || session.kid !== state.kid) return
      await store.write([
        read.deleteFrom('agent_next_keys').where('agentId', '=', agentId).where('kid', '=', kid).compile(),
      ])
      keys.forget(agentId)
      begin(session, kidAfter(kid))
    },
    keyUsed({ agentId, kid, isNextKey }) {
      if (!isNextKey) return []
      const next = <C extends 'kid' | 'sealedRoot' | 'createdAt'>(column: C) =>
        read
          .selectFrom('agent_next_keys')
          .select((eb) => eb.ref(column).as('value'))
          .where('agentId', '=', agentId)
          .where('kid', '=', kid)
      return [
        read
          .updateTable('agent_keys')
          .set({ kid: next('kid'), sealedRoot: next('sealedRoot'), createdAt: next('createdAt') })
          .where('agentId', '=', agentId)
          .where(({ exists }) => exists(next('kid')))
          .compile(),
        read.deleteFrom('agent_next_keys').where('agentId', '=', agentId).where('kid', '=', kid).compile(),
        read.updateTable('agents').set({ rotateWantedAt: null }).where('id', '=', agentId).compile(),
        audit.row({
          actor: { type: 'agent', id: agentId },
          action: 'agent.rekeyed',
          target: agentId,
          details: { kid },
        }),
      ]
    },
    async want(agentId, by) {
      const entry = index.get(agentId)
      if (!entry) throw fleetError('FLT_AGENT_UNKNOWN', { id: agentId.slice(0, 64) })
      if (entry.generation === 0) throw fleetError('FLT_AGENT_NO_KEY', { id: agentId })
      if (entry.revoked) throw fleetError('FLT_AGENT_REVOKED')
      await store.write([
        read.updateTable('agents').set({ rotateWantedAt: now() }).where('id', '=', agentId).compile(),
        audit.row({ ...by, action: 'agent.rekey-wanted', target: agentId }),
      ])
      bus.emit('agent.updated', { agentId })
      const session = presence.sessionOf(agentId)
      const begun = session !== undefined && (await goOn(session))
      return { id: agentId, state: begun ? 'begun' : 'waiting' }
    },
    dispose: () => clearInterval(sweep),
  }
}

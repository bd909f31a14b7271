import { FleetError } from '@fleetupdate/sdk'
import type { Transcript } from '@fleetupdate/sdk/protocol'
import type { Audit } from '../audit/create-audit.ts'
import type { AgentKeys } from '../auth/agent-keys.ts'
import { fleetError } from '../errors.ts'
import type { EventBus } from '../events/bus.ts'
import type { Store, WriteStatement } from '../store/store.ts'
import type { FleetIndex } from './fleet-index.ts'

/** An enrolment whose machine proved to know the secret. */
export interface ProvenEnrolment {
  readonly transcript: Pick<Transcript, 'agentId' | 'secretId' | 'kid' | 'enrolmentId'>
  readonly sealedRoot: Uint8Array
  readonly agentConfirmation: string
  readonly serverConfirmation: string
  /** What the id's row must still say; 0: no row. */
  readonly generation: number
  /** The address it came from. */
  readonly client: string
}

/**
 * Gives an agent its identity, with `more` in the same batch. Throws FLT_ENROL_ID_TAKEN where the id went to another meanwhile; where a
 * statement of `more` does not hold it throws what `explain` makes of it, if it makes something.
 */
export type ConcludeEnrolment = (
  proven: ProvenEnrolment,
  more: readonly WriteStatement[],
  explain?: () => Promise<FleetError | undefined>,
) => Promise<void>

export function createConclusion(deps: {
  readonly store: Store
  readonly audit: Audit
  readonly keys: AgentKeys
  readonly index: FleetIndex
  readonly bus: EventBus
  readonly now: () => number
}): ConcludeEnrolment {
  const { store, audit, keys, index, bus, now } = deps
  return async (proven, more, explain = async () => undefined) => {
    const { transcript, sealedRoot, agentConfirmation, serverConfirmation, generation, client } = proven
    const { agentId, secretId, kid, enrolmentId } = transcript
    const confirmations = { agentConfirmation, serverConfirmation }
    const key = { kid, sealedRoot, enrolmentId, ...confirmations, createdAt: now() }
    try {
      await store.write([
        agentStatement(store, agentId, generation, now()),
        store.read
          .insertInto('agent_keys')
          .values({ agentId, ...key })
          .onConflict((conflict) => conflict.column('agentId').doUpdateSet(key))
          .compile(),
        store.read.deleteFrom('agent_next_keys').where('agentId', '=', agentId).compile(),
        // The tickets of the identity before are worth nothing.
        store.read
          .updateTable('agent_sessions')
          .set({ ticket: 0, ticketNonce: '' })
          .where('agentId', '=', agentId)
          .compile(),
        ...more,
        audit.row({
          actor: { type: 'agent', id: agentId },
          action: 'agent.enrolled',
          target: agentId,
          address: client,
          details: { secretId, generation: generation + 1 },
        }),
      ])
    } catch (error) {
      if (!isConflict(error)) throw error
      throw (await explain()) ?? fleetError('FLT_ENROL_ID_TAKEN', { id: agentId })
    }
    keys.forget(agentId)
    index.put({
      id: agentId,
      generation: generation + 1,
      enrolledAt: now(),
      revoked: false,
      quarantine: undefined,
      online: false,
      lastSeenMs: null,
      facets: index.get(agentId)?.facets ?? {},
    })
    bus.emit('agent.enrolled', { agentId })
  }
}

/** Takes the id: a new row, or the row of an identity that was ended and not enrolled again meanwhile. */
function agentStatement(store: Store, id: string, generation: number, nowMs: number): WriteStatement {
  const trust = { quarantinedAt: null, quarantineReason: null, rotateWantedAt: null }
  const fresh = { enrolledAt: nowMs, revokedAt: null, removedAt: null, generation: generation + 1, ...trust }
  const query =
    generation === 0
      ? store.read
          .insertInto('agents')
          .values({
            id,
            ...fresh,
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
      : store.read
          .updateTable('agents')
          .set({ ...fresh, lastSeenAt: null })
          .where('id', '=', id)
          .where('generation', '=', generation)
          .where('revokedAt', 'is not', null)
          .compile()
  return { sql: query.sql, parameters: query.parameters, expectedRows: 1 }
}

function isConflict(error: unknown): boolean {
  return error instanceof FleetError && error.code === 'FLT_STORE_CONFLICT'
}

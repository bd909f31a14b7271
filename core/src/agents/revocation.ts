import type { Audit } from '../audit/create-audit.ts'
import type { AuditEntry } from '../audit/entry.ts'
import type { AgentKeys } from '../auth/agent-keys.ts'
import { fleetError } from '../errors.ts'
import type { EventBus } from '../events/bus.ts'
import type { Store } from '../store/store.ts'
import type { EnrolmentTokens } from './enrolment-tokens.ts'
import type { ExecutorSets } from './executor-sets.ts'
import type { FleetIndex } from './fleet-index.ts'
import type { Presence } from './presence.ts'
import { isoTime } from './view.ts'

export type RevokedBy = Pick<AuditEntry, 'actor' | 'address'>

/** Ends identities. The agent's channels are closed at once, and its key is good for nothing any more. */
export interface Revocation {
  /** Not listed any more; the id stays taken. Throws FLT_AGENT_UNKNOWN. */
  remove(agentId: string, by: RevokedBy): Promise<{ id: string; removedAt: string }>
  /** Gives a token, valid for an hour, with which alone this id, also a removed one, may enrol again. */
  reset(agentId: string, by: RevokedBy): Promise<{ id: string; token: string; expiresAt: string }>
}

export interface RevocationOptions {
  readonly store: Store
  readonly keys: AgentKeys
  readonly tokens: EnrolmentTokens
  readonly index: FleetIndex
  readonly presence: Presence
  readonly executors: ExecutorSets
  readonly bus: EventBus
  readonly audit: Audit
  /** What else must end with an identity. */
  readonly onRevoked: (agentId: string) => Promise<void>
  readonly now: () => number
}

export function createRevocation(options: RevocationOptions): Revocation {
  const { store, keys, tokens, index, presence, executors, bus, audit, onRevoked, now } = options
  const known = async (agentId: string): Promise<void> => {
    const row = await store.read
      .selectFrom('agents')
      .select('id')
      .where('id', '=', agentId)
      .executeTakeFirst()
    if (!row) throw fleetError('FLT_AGENT_UNKNOWN', { id: agentId.slice(0, 64) })
  }
  return {
    async remove(agentId, by) {
      if (!index.get(agentId)) throw fleetError('FLT_AGENT_UNKNOWN', { id: agentId.slice(0, 64) })
      const removedAt = now()
      const end = store.read
        .updateTable('agents')
        .set({ removedAt, revokedAt: removedAt, online: 0, onlineChangedAt: removedAt })
        .where('id', '=', agentId)
        .where('removedAt', 'is', null)
        .compile()
      await store.write([
        { sql: end.sql, parameters: end.parameters, expectedRows: 1 },
        store.read.deleteFrom('agent_facts').where('agentId', '=', agentId).compile(),
        store.read.deleteFrom('agent_facets').where('agentId', '=', agentId).compile(),
        // An invitation from before must not bring it back.
        tokens.endBound(agentId),
        audit.row({ ...by, action: 'agent.removed', target: agentId }),
      ])
      keys.forget(agentId)
      presence.expel(agentId)
      index.remove(agentId)
      executors.remove(agentId)
      bus.emit('agent.removed', { agentId })
      await onRevoked(agentId)
      return { id: agentId, removedAt: isoTime(removedAt) }
    },
    async reset(agentId, by) {
      await known(agentId)
      const { token, expiresAtMs, statements } = tokens.create({ agentId, createdBy: by.actor.id })
      const end = store.read
        .updateTable('agents')
        .set({
          revokedAt: now(),
          online: 0,
          onlineChangedAt: now(),
          quarantinedAt: null,
          quarantineReason: null,
        })
        .where('id', '=', agentId)
        .compile()
      await store.write([end, ...statements, audit.row({ ...by, action: 'agent.reset', target: agentId })])
      keys.forget(agentId)
      const entry = index.get(agentId)
      if (entry) entry.revoked = true
      index.setQuarantine(agentId, undefined)
      presence.expel(agentId)
      bus.emit('agent.updated', { agentId })
      await onRevoked(agentId)
      return { id: agentId, token, expiresAt: isoTime(expiresAtMs) }
    },
  }
}

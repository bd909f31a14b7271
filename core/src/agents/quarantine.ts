import type { Audit } from '../audit/create-audit.ts'
import type { AgentKeys } from '../auth/agent-keys.ts'
import { fleetError } from '../errors.ts'
import type { EventBus } from '../events/bus.ts'
import type { Store } from '../store/store.ts'
import type { FleetIndex } from './fleet-index.ts'
import type { Presence } from './presence.ts'
import type { RevokedBy } from './revocation.ts'

/** Agents whose identity seems to be used by two machines: they are refused, and offered nothing, until somebody released them. */
export interface Quarantine {
  put(agentId: string, reason: string): Promise<void>
  /**
   * There is one machine alone (its snapshot was restored): the next hello counts, whatever ticket it shows. Two machines would be noticed again.
   * Throws FLT_AGENT_UNKNOWN, FLT_AGENT_NOT_QUARANTINED.
   */
  release(agentId: string, by: RevokedBy): Promise<void>
  require(agentId: string): void
}

export function createQuarantine(deps: {
  readonly store: Store
  readonly audit: Audit
  readonly keys: AgentKeys
  readonly index: FleetIndex
  readonly presence: Presence
  readonly bus: EventBus
  readonly now: () => number
}): Quarantine {
  const { store, audit, keys, index, presence, bus, now } = deps
  const requireQuarantined = (agentId: string): void => {
    const entry = index.get(agentId)
    if (!entry) throw fleetError('FLT_AGENT_UNKNOWN', { id: agentId.slice(0, 64) })
    if (!entry.quarantine) throw fleetError('FLT_AGENT_NOT_QUARANTINED', { id: agentId })
  }
  return {
    require: requireQuarantined,
    async put(agentId, reason) {
      const sinceMs = now()
      // Before the store answers: what is live is not to be trusted for a moment longer.
      index.setQuarantine(agentId, { sinceMs, reason })
      presence.expel(agentId, 'quarantined')
      const update = store.read
        .updateTable('agents')
        .set({ quarantinedAt: sinceMs, quarantineReason: reason })
        .where('id', '=', agentId)
        .where('quarantinedAt', 'is', null)
        .compile()
      await store.write([
        update,
        audit.row({
          actor: { type: 'server', id: '' },
          action: 'agent.quarantined',
          target: agentId,
          details: { reason },
        }),
      ])
      keys.forget(agentId)
      bus.emit('agent.quarantined', { agentId, reason })
      bus.emit('agent.updated', { agentId })
      bus.emit('notice.created', {
        level: 'error',
        title: `${agentId} is in quarantine`,
        text: reason,
        agentId,
        plugin: 'core',
      })
    },
    async release(agentId, by) {
      requireQuarantined(agentId)
      const free = store.read
        .updateTable('agents')
        .set({ quarantinedAt: null, quarantineReason: null })
        .where('id', '=', agentId)
        .where('quarantinedAt', 'is not', null)
        .compile()
      await store.write([
        { sql: free.sql, parameters: free.parameters, expectedRows: 1 },
        store.read
          .updateTable('agent_sessions')
          .set({ ticket: 0, ticketNonce: '' })
          .where('agentId', '=', agentId)
          .compile(),
        audit.row({ ...by, action: 'agent.released', target: agentId, details: { way: 'restored' } }),
      ])
      keys.forget(agentId)
      index.setQuarantine(agentId, undefined)
      bus.emit('agent.updated', { agentId })
    },
  }
}

import { deriveKey } from '@fleetupdate/sdk/protocol'
import type { Store } from '../store/store.ts'
import type { Sealer } from './sealer.ts'

/** The opened key of one agent. Lives in memory only. */
export interface AgentKey {
  readonly agentId: string
  readonly kid: string
  readonly generation: number
  readonly root: Buffer
  /** Verifies its requests. */
  readonly a2s: Buffer
  /** Signs the answers. */
  readonly s2a: Buffer
  /** The second key, which becomes the only one once it was used. */
  readonly isNext: boolean
  /** Its identity was ended; it is told so, signed. */
  readonly revoked: boolean
  /** Why it is refused for now; undefined: it is not. */
  readonly quarantine: string | undefined
}

/** The agents' keys, opened once and kept in memory. */
export interface AgentKeys {
  /** Undefined where the id never enrolled, or has no key of this name any more. Answers at once where the key is in memory. */
  get(agentId: string, kid: string): AgentKey | undefined | Promise<AgentKey | undefined>
  /** After an enrolment, a removal, a reset, a new key, a quarantine or its end. */
  forget(agentId: string): void
}

const keptAgents = 20_000

export function createAgentKeys({ store, sealer }: { store: Store; sealer: Sealer }): AgentKeys {
  /** One or two of each agent. */
  const agents = new Map<string, readonly AgentKey[]>()
  let changes = 0

  const load = async (agentId: string): Promise<readonly AgentKey[]> => {
    const changesBefore = changes
    const row = await store.read
      .selectFrom('agent_keys')
      .innerJoin('agents', 'agents.id', 'agent_keys.agentId')
      .leftJoin('agent_next_keys', 'agent_next_keys.agentId', 'agent_keys.agentId')
      .select(['agent_keys.kid', 'agent_keys.sealedRoot', 'agents.generation', 'agents.revokedAt'])
      .select(['agent_next_keys.kid as nextKid', 'agent_next_keys.sealedRoot as nextRoot'])
      .select(['agents.quarantinedAt', 'agents.quarantineReason'])
      .where('agent_keys.agentId', '=', agentId)
      .executeTakeFirst()
    if (!row) return []
    const { generation } = row
    const revoked = row.revokedAt !== null
    const quarantine = row.quarantinedAt === null ? undefined : (row.quarantineReason ?? '')
    const open = (kid: string, sealed: Uint8Array, isNext: boolean): AgentKey => {
      const root = sealer.open(sealed, rootContext(agentId))
      const a2s = deriveKey(root, 'http/a2s', agentId, kid)
      const s2a = deriveKey(root, 'http/s2a', agentId, kid)
      return { agentId, kid, generation, root, a2s, s2a, isNext, revoked, quarantine }
    }
    const keys = [open(row.kid, row.sealedRoot, false)]
    if (row.nextKid !== null && row.nextRoot !== null) keys.push(open(row.nextKid, row.nextRoot, true))
    if (changes !== changesBefore) return keys
    if (agents.size >= keptAgents) agents.delete(agents.keys().next().value ?? '')
    agents.set(agentId, keys)
    return keys
  }
  const named = (keys: readonly AgentKey[], kid: string): AgentKey | undefined =>
    keys.find((key) => key.kid === kid)

  return {
    get(agentId, kid) {
      const known = agents.get(agentId)
      return known ? named(known, kid) : load(agentId).then((keys) => named(keys, kid))
    },
    forget(agentId) {
      changes++
      agents.delete(agentId)
    },
  }
}

/** What an agent's root key is sealed for. */
export function rootContext(agentId: string): string {
  return `agent-root:${agentId}`
}

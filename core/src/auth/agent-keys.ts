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
  /** Its identity was ended; it is told so, signed. */
  readonly revoked: boolean
}

/** The agents' keys, opened once and kept in memory. */
export interface AgentKeys {
  /** Undefined where the id never enrolled. Answers at once where the key is in memory. */
  get(agentId: string): AgentKey | undefined | Promise<AgentKey | undefined>
  /** After an enrolment, a removal or a reset. */
  forget(agentId: string): void
}

const keptKeys = 20_000

export function createAgentKeys({ store, sealer }: { store: Store; sealer: Sealer }): AgentKeys {
  const keys = new Map<string, AgentKey>()
  let changes = 0

  const load = async (agentId: string): Promise<AgentKey | undefined> => {
    const changesBefore = changes
    const row = await store.read
      .selectFrom('agent_keys')
      .innerJoin('agents', 'agents.id', 'agent_keys.agentId')
      .select(['agent_keys.kid', 'agent_keys.sealedRoot', 'agents.generation', 'agents.revokedAt'])
      .where('agent_keys.agentId', '=', agentId)
      .executeTakeFirst()
    if (!row) return undefined
    const root = sealer.open(row.sealedRoot, rootContext(agentId))
    const key: AgentKey = {
      agentId,
      kid: row.kid,
      generation: row.generation,
      root,
      a2s: deriveKey(root, 'http/a2s', agentId, row.kid),
      s2a: deriveKey(root, 'http/s2a', agentId, row.kid),
      revoked: row.revokedAt !== null,
    }
    if (changes !== changesBefore) return key
    if (keys.size >= keptKeys) keys.delete(keys.keys().next().value ?? '')
    keys.set(agentId, key)
    return key
  }

  return {
    get: (agentId) => keys.get(agentId) ?? load(agentId),
    forget(agentId) {
      changes++
      keys.delete(agentId)
    },
  }
}

/** What an agent's root key is sealed for. */
export function rootContext(agentId: string): string {
  return `agent-root:${agentId}`
}

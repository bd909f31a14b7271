import type { ExecutorView } from '@fleetupdate/sdk'

/** Plugin id → `<version>/<contract hash>` → number of agents that have this executor. */
export type ExecutorCounts = Readonly<Record<string, Readonly<Record<string, number>>>>

/** What each agent's executors are. Agents that told the same share one list: most of a fleet runs the same. */
export interface ExecutorSets {
  /** `json`: ExecutorView[], as the agent told it at its last connect. */
  put(agentId: string, json: string): void
  remove(agentId: string): void
  counts(): ExecutorCounts
}

interface ExecutorSet {
  readonly json: string
  agents: number
}

export function createExecutorSets(): ExecutorSets {
  const sets = new Map<string, ExecutorSet>()
  const setOf = new Map<string, ExecutorSet>()
  const remove = (agentId: string): void => {
    const set = setOf.get(agentId)
    if (!set) return
    setOf.delete(agentId)
    if (--set.agents === 0) sets.delete(set.json)
  }
  return {
    remove,
    put(agentId, json) {
      remove(agentId)
      const set = sets.get(json) ?? { json, agents: 0 }
      set.agents++
      sets.set(json, set)
      setOf.set(agentId, set)
    },
    counts() {
      const counts: Record<string, Record<string, number>> = {}
      for (const { json, agents } of sets.values()) {
        const executors: readonly ExecutorView[] = JSON.parse(json)
        for (const { id, version, contractHash } of executors) {
          const name = `${version}/${contractHash}`
          const own = counts[id] ?? {}
          counts[id] = own
          own[name] = (own[name] ?? 0) + agents
        }
      }
      return counts
    },
  }
}

import type { ExecutorView } from '@fleetupdate/sdk'

/** Plugin id → `<version>/<contract hash>` → number of agents that have this executor. */
export type ExecutorCounts = Readonly<Record<string, Readonly<Record<string, number>>>>

/** Agents that told the same of one executor; `executor` null: they do not have it. */
export interface ExecutorGroup {
  readonly executor: ExecutorView | null
  readonly agents: readonly string[]
}

/** What each agent's executors are. Agents that told the same share one list: most of a fleet runs the same. */
export interface ExecutorSets {
  /** `json`: ExecutorView[], as the agent told it at its last connect. */
  put(agentId: string, json: string): void
  remove(agentId: string): void
  counts(): ExecutorCounts
  /** All agents by what they told of this executor, the largest group first. */
  groups(pluginId: string): readonly ExecutorGroup[]
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
    groups(pluginId) {
      const groups = new Map<string, { executor: ExecutorView | null; agents: string[] }>()
      const groupOf = new Map<ExecutorSet, string[]>()
      for (const set of sets.values()) {
        const all: readonly ExecutorView[] = JSON.parse(set.json)
        const executor = all.find(({ id }) => id === pluginId) ?? null
        const key = JSON.stringify(executor)
        const group = groups.get(key) ?? { executor, agents: [] }
        groups.set(key, group)
        groupOf.set(set, group.agents)
      }
      for (const [agentId, set] of setOf) groupOf.get(set)?.push(agentId)
      return [...groups.values()]
        .map(({ executor, agents }) => ({ executor, agents: agents.sort() }))
        .sort((a, b) => b.agents.length - a.agents.length)
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

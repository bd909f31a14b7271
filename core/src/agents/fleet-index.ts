import type { ExecutorView, FacetValue } from '@fleetupdate/sdk'

export type StoredFacet = Exclude<FacetValue, undefined>

/** What is kept in memory of each listed agent; a few hundred bytes. The store stays the truth. */
export interface AgentEntry {
  readonly id: string
  generation: number
  enrolledAt: number
  /** Its identity was ended by a reset; it is listed until it enrols again. */
  revoked: boolean
  online: boolean
  /** Unix ms of the last frame; null: never connected. */
  lastSeenMs: number | null
  /** By qualified name. Replaced as a whole, never changed. */
  facets: Readonly<Record<string, StoredFacet>>
  /** As told at its last connect. One array for all agents that told the same. */
  executors: readonly ExecutorView[]
}

/** All listed agents, and how many have which boolean facet. */
export interface FleetIndex {
  get(id: string): AgentEntry | undefined
  entries(): IterableIterator<AgentEntry>
  readonly size: number
  readonly online: number
  put(entry: AgentEntry): void
  remove(id: string): void
  setOnline(id: string, state: 'online' | 'offline'): void
  setFacets(id: string, facets: Readonly<Record<string, StoredFacet>>): void
  /** Executor id → version → how many agents have it. */
  executorCounts(): Readonly<Record<string, Readonly<Record<string, number>>>>
  /** Agents whose facet of this qualified name is true. */
  countTrue(facet: string): number
}

export function createFleetIndex(): FleetIndex {
  const agents = new Map<string, AgentEntry>()
  const trueFacets = new Map<string, number>()
  let online = 0

  const count = (entry: AgentEntry, step: 1 | -1): void => {
    if (entry.online) online += step
    for (const name in entry.facets)
      if (entry.facets[name] === true) trueFacets.set(name, (trueFacets.get(name) ?? 0) + step)
  }
  const change = (id: string, apply: (entry: AgentEntry) => void): void => {
    const entry = agents.get(id)
    if (!entry) return
    count(entry, -1)
    apply(entry)
    count(entry, 1)
  }
  const remove = (id: string): void => {
    const entry = agents.get(id)
    if (!entry) return
    count(entry, -1)
    agents.delete(id)
  }

  return {
    get: (id) => agents.get(id),
    entries: () => agents.values(),
    get size() {
      return agents.size
    },
    get online() {
      return online
    },
    put(entry) {
      remove(entry.id)
      agents.set(entry.id, entry)
      count(entry, 1)
    },
    remove,
    setOnline: (id, state) =>
      change(id, (entry) => {
        entry.online = state === 'online'
      }),
    setFacets: (id, facets) =>
      change(id, (entry) => {
        entry.facets = facets
      }),
    executorCounts() {
      const sets = new Map<readonly ExecutorView[], number>()
      for (const { executors } of agents.values()) sets.set(executors, (sets.get(executors) ?? 0) + 1)
      const counts: Record<string, Record<string, number>> = {}
      for (const [executors, count] of sets)
        for (const { id, version } of executors) {
          counts[id] ??= {}
          counts[id][version] = (counts[id][version] ?? 0) + count
        }
      return counts
    },
    countTrue: (facet) => trueFacets.get(facet) ?? 0,
  }
}

/** Lets equal executor lists share one array: most of a fleet runs the same. */
export function createExecutorSets(): (json: string) => readonly ExecutorView[] {
  const sets = new Map<string, readonly ExecutorView[]>()
  return (json) => {
    const known = sets.get(json)
    if (known) return known
    // Agents could make up a list each: forgetting only costs the sharing.
    if (sets.size >= keptSets) sets.clear()
    const executors: readonly ExecutorView[] = JSON.parse(json)
    sets.set(json, executors)
    return executors
  }
}

const keptSets = 500

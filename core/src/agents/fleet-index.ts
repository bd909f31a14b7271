import type { FacetValue } from '@fleetupdate/sdk'

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
    countTrue: (facet) => trueFacets.get(facet) ?? 0,
  }
}

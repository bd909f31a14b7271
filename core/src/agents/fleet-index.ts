import type { FacetValue } from '@fleetupdate/sdk'

export type StoredFacet = Exclude<FacetValue, undefined>

export interface AgentQuarantine {
  /** Unix ms. */
  readonly sinceMs: number
  readonly reason: string
}

/** What is kept in memory of each listed agent; a few hundred bytes. The store stays the truth. */
export interface AgentEntry {
  readonly id: string
  generation: number
  enrolledAt: number
  /** Its identity was ended by a reset; it is listed until it enrols again. */
  revoked: boolean
  /** Set while it is refused, because two machines seem to use its identity. */
  quarantine: AgentQuarantine | undefined
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
  setQuarantine(id: string, quarantine: AgentQuarantine | undefined): void
  setOnline(id: string, state: 'online' | 'offline'): void
  setFacets(id: string, facets: Readonly<Record<string, StoredFacet>>): void
  /** Agents whose facet of this qualified name is true. */
  countTrue(facet: string): number
  /** Agents that are in quarantine. */
  quarantined(): number
}

export function createFleetIndex(): FleetIndex {
  const agents = new Map<string, AgentEntry>()
  const trueFacets = new Map<string, number>()
  let online = 0
  let quarantined = 0

  const count = (entry: AgentEntry, step: 1 | -1): void => {
    if (entry.online) online += step
    if (entry.quarantine) quarantined += step
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
    setQuarantine: (id, quarantine) =>
      change(id, (entry) => {
        entry.quarantine = quarantine
      }),
    setFacets: (id, facets) =>
      change(id, (entry) => {
        entry.facets = facets
      }),
    countTrue: (facet) => trueFacets.get(facet) ?? 0,
    quarantined: () => quarantined,
  }
}

import type { AgentView } from '@fleetupdate/sdk'
import { decodeCursor, encodeCursor } from '../cursor.ts'
import { fleetError } from '../errors.ts'
import type { ContractRegistry } from '../plugins/registry.ts'
import type { Store } from '../store/store.ts'
import type { ExecutorSets } from './executor-sets.ts'
import type { AgentEntry, FleetIndex, StoredFacet } from './fleet-index.ts'
import {
  type FacetNames,
  firstAfter,
  type Matches,
  type Position,
  parseFilter,
  parseSearch,
  parseSort,
} from './list-query.ts'
import { isoTime, viewAgents, viewQuarantine } from './view.ts'

export interface AgentListQuery {
  readonly filter?: string
  readonly q?: string
  readonly sort?: string
  readonly cursor?: string
  /** 1 to 500; default 50. */
  readonly limit?: number
  /** Filters, separated by commas, whose numbers `counts` tells too. */
  readonly count?: string
}

export interface AgentList {
  readonly items: readonly AgentView[]
  readonly nextCursor: string | null
  readonly counts: Readonly<Record<string, number>>
}

/** Who is enrolled, and how it is. Reads only. */
export interface AgentRegistry {
  get(id: string): Promise<AgentView | undefined>
  list(query: AgentListQuery): Promise<AgentList>
  /** What lists show of an agent, from memory; undefined where it is not listed. */
  summary(id: string): Pick<AgentView, 'id' | 'status' | 'lastSeenAt' | 'facets' | 'quarantine'> | undefined
  /** `all`, `online`, `offline`, and each boolean facet by its qualified and, where only one plugin has it, its short name. */
  counts(): Readonly<Record<string, number>>
  /** Ids of all agents that a filter matches. */
  match(filter: string): readonly string[]
  /** Throws FLT_AGENT_UNKNOWN. */
  require(id: string): AgentEntry
  /** The good values of one plugin's facts. */
  readFacts(agentId: string, plugin: string): Promise<Readonly<Record<string, unknown>>>
}

export function createRegistry(deps: {
  readonly store: Store
  readonly index: FleetIndex
  readonly contracts: ContractRegistry
}): AgentRegistry {
  const { store, index, contracts } = deps

  const counts = (): Record<string, number> => {
    const result: Record<string, number> = {
      all: index.size,
      online: index.online,
      offline: index.size - index.online,
    }
    const quarantined = index.quarantined()
    if (quarantined > 0) result.quarantined = quarantined
    for (const [name, { qualified }] of contracts.facetNames()) {
      const count = index.countTrue(qualified)
      if (count > 0 || isBoolean(index, qualified)) result[name] = count
    }
    return result
  }

  return {
    counts,
    async get(id) {
      const entry = index.get(id)
      return entry && (await viewAgents(store, [entry]))[0]
    },
    async list(query) {
      const names = contracts.facetNames()
      const filter = parseFilter(query.filter, names)
      const search = parseSearch(query.q)
      const order = parseSort(query.sort, names)
      const limit = Math.max(1, Math.min(500, query.limit ?? 50))
      const after = query.cursor === undefined ? undefined : readCursor(query.cursor, order.text)
      const found = firstAfter(
        index.entries(),
        (entry) => filter(entry) && search(entry),
        order,
        after,
        limit + 1,
      )
      const page = found.slice(0, limit)
      const last = page.at(-1)
      return {
        items: await viewAgents(store, page),
        nextCursor:
          found.length > limit && last ? encodeCursor([order.text, order.value(last), last.id]) : null,
        counts: { ...counts(), ...countFilters(index, query.count, names) },
      }
    },
    summary(id) {
      const entry = index.get(id)
      return (
        entry && {
          id,
          status: entry.online ? 'online' : 'offline',
          lastSeenAt: entry.lastSeenMs === null ? null : isoTime(entry.lastSeenMs),
          facets: entry.facets,
          ...viewQuarantine(entry),
        }
      )
    },
    match(filter) {
      const matches = parseFilter(filter, contracts.facetNames())
      const ids: string[] = []
      for (const entry of index.entries()) if (matches(entry)) ids.push(entry.id)
      return ids
    },
    require(id) {
      const entry = index.get(id)
      if (!entry) throw fleetError('FLT_AGENT_UNKNOWN', { id: id.slice(0, 64) })
      return entry
    },
    async readFacts(agentId, plugin) {
      const rows = await store.read
        .selectFrom('agent_facts')
        .select(['fact', 'value'])
        .where('agentId', '=', agentId)
        .where('plugin', '=', plugin)
        .where('checked', '=', 1)
        .where('value', 'is not', null)
        .execute()
      return Object.fromEntries(rows.map((row) => [row.fact, JSON.parse(row.value ?? 'null')]))
    },
  }
}

/** Fills the index from the store; all agents are offline until they connect. */
export async function loadIndex(store: Store, index: FleetIndex, executorSets: ExecutorSets): Promise<void> {
  const facets = new Map<string, Record<string, StoredFacet>>()
  for (const row of await store.read.selectFrom('agent_facets').selectAll().execute()) {
    const own = facets.get(row.agentId) ?? {}
    facets.set(row.agentId, own)
    own[row.name] = row.kind === 'string' ? row.text : row.kind === 'boolean' ? row.number === 1 : row.number
  }
  const agents = await store.read
    .selectFrom('agents')
    .select(['id', 'generation', 'enrolledAt', 'revokedAt', 'lastSeenAt', 'executors'])
    .select(['quarantinedAt', 'quarantineReason'])
    .where('removedAt', 'is', null)
    .execute()
  for (const { id, generation, enrolledAt, revokedAt, lastSeenAt, executors, ...row } of agents) {
    executorSets.put(id, executors)
    index.put({
      id,
      generation,
      enrolledAt,
      revoked: revokedAt !== null,
      quarantine:
        row.quarantinedAt === null
          ? undefined
          : { sinceMs: row.quarantinedAt, reason: row.quarantineReason ?? '' },
      online: false,
      lastSeenMs: lastSeenAt,
      facets: facets.get(id) ?? {},
    })
  }
}

function readCursor(text: string, sort: string): Position {
  const [madeFor, value, id] = decodeCursor(text, 3)
  if (madeFor !== sort || typeof id !== 'string' || value === undefined)
    throw fleetError('FLT_CURSOR_INVALID')
  return { value, id }
}

const mostFilters = 20

/**
 * How many agents each filter matches, by the filter itself: what `counts` does not tell, such as `!facet`. A filter that nobody
 * knows (its plugin was just disabled) is left out.
 */
function countFilters(
  index: FleetIndex,
  text: string | undefined,
  names: FacetNames,
): Record<string, number> {
  const counters = (text ?? '')
    .split(',')
    .filter(Boolean)
    .slice(0, mostFilters)
    .flatMap((filter) => {
      const matches = knownFilter(filter, names)
      return matches ? [{ filter, matches, count: 0 }] : []
    })
  if (counters.length > 0)
    for (const entry of index.entries())
      for (const counter of counters) if (counter.matches(entry)) counter.count += 1
  return Object.fromEntries(counters.map(({ filter, count }) => [filter, count]))
}

function knownFilter(filter: string, names: FacetNames): Matches | undefined {
  try {
    return parseFilter(filter, names)
  } catch {
    return undefined
  }
}

/** A facet counts where any agent ever told a boolean for it; looked up among a few agents, as all are of one contract. */
function isBoolean(index: FleetIndex, facet: string): boolean {
  let looked = 0
  for (const { facets } of index.entries()) {
    const value = facets[facet]
    if (value !== undefined && value !== null) return typeof value === 'boolean'
    if (++looked >= 200) return false
  }
  return false
}

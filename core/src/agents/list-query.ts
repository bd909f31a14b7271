import { fleetError } from '../errors.ts'
import type { AgentEntry, StoredFacet } from './fleet-index.ts'

export type FacetNames = ReadonlyMap<string, { readonly qualified: string }>
export type Matches = (entry: AgentEntry) => boolean

/** How a list is sorted: the value of each agent, the id breaking ties; null is always last. */
export interface Order {
  readonly text: string
  readonly descending: boolean
  value(entry: AgentEntry): StoredFacet
}

const fields: Readonly<Record<string, (entry: AgentEntry) => StoredFacet>> = {
  id: (entry) => entry.id,
  status: (entry) => entry.online,
  lastSeenAt: (entry) => entry.lastSeenMs,
  enrolledAt: (entry) => entry.enrolledAt,
}

/** Reads `all`, `online`, `offline`, `quarantined`, `facet`, `!facet` or `facet=value`; throws FLT_FILTER_UNKNOWN for a name that nobody has. */
export function parseFilter(text: string | undefined, names: FacetNames): Matches {
  if (text === undefined || text === '' || text === 'all') return () => true
  if (text === 'online') return (entry) => entry.online
  if (text === 'offline') return (entry) => !entry.online
  if (text === 'quarantined') return (entry) => entry.quarantine !== undefined
  const negated = text.startsWith('!')
  const [name = '', ...rest] = (negated ? text.slice(1) : text).split('=')
  const facet = names.get(name)?.qualified
  if (facet === undefined)
    throw fleetError('FLT_FILTER_UNKNOWN', {
      kind: 'filter',
      name: name.slice(0, 130),
      known: ['all', 'online', 'offline', 'quarantined', ...names.keys()].join(', '),
    })
  const wanted = rest.length === 0 ? undefined : rest.join('=')
  return ({ facets }) => {
    const value = facets[facet] ?? null
    // Unknown is neither: "not outdated" must not show those of which nothing is known.
    if (value === null) return wanted === 'null' && !negated
    const holds = wanted === undefined ? Boolean(value) : String(value) === wanted
    return negated ? !holds : holds
  }
}

/** Reads `name` or `-name`, a field (`id`, `status`, `lastSeenAt`, `enrolledAt`) or a facet. Default: `id`. */
export function parseSort(text: string | undefined, names: FacetNames): Order {
  const wanted = text === undefined || text === '' ? 'id' : text
  const descending = wanted.startsWith('-')
  const name = descending ? wanted.slice(1) : wanted
  const field = Object.hasOwn(fields, name) ? fields[name] : undefined
  if (field) return { text: wanted, descending, value: field }
  const facet = names.get(name)?.qualified
  if (facet === undefined)
    throw fleetError('FLT_FILTER_UNKNOWN', {
      kind: 'sort',
      name: name.slice(0, 130),
      known: [...Object.keys(fields), ...names.keys()].join(', '),
    })
  return { text: wanted, descending, value: ({ facets }) => facets[facet] ?? null }
}

/** Matches the id and every text facet, whatever the case. */
export function parseSearch(text: string | undefined): Matches {
  if (text === undefined || text.trim() === '') return () => true
  const needle = text.trim().toLowerCase()
  return ({ id, facets }) => {
    if (id.toLowerCase().includes(needle)) return true
    for (const name in facets) {
      const value = facets[name]
      if (typeof value === 'string' && value.toLowerCase().includes(needle)) return true
    }
    return false
  }
}

/** Where a page ended. */
export interface Position {
  readonly value: StoredFacet
  readonly id: string
}

/** Less than 0 where `a` comes first. Values of another type than their neighbours are ordered by type. */
export function comparePositions(order: Order, a: Position, b: Position): number {
  if (a.value !== b.value) {
    if (a.value === null) return 1
    if (b.value === null) return -1
    const difference = compareValues(a.value, b.value)
    return order.descending ? -difference : difference
  }
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0
}

/** The first `count` after a position, in order. Linear in the number of agents. */
export function firstAfter(
  entries: Iterable<AgentEntry>,
  matches: Matches,
  order: Order,
  after: Position | undefined,
  count: number,
): AgentEntry[] {
  const best: (Position & { entry: AgentEntry })[] = []
  for (const entry of entries) {
    if (!matches(entry)) continue
    const position = { value: order.value(entry), id: entry.id, entry }
    if (after && comparePositions(order, position, after) <= 0) continue
    const last = best[best.length - 1]
    if (best.length === count && last && comparePositions(order, position, last) > 0) continue
    best.splice(insertionPoint(best, position, order), 0, position)
    if (best.length > count) best.pop()
  }
  return best.map(({ entry }) => entry)
}

function insertionPoint(sorted: readonly Position[], position: Position, order: Order): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (comparePositions(order, sorted[middle] as Position, position) < 0) low = middle + 1
    else high = middle
  }
  return low
}

function compareValues(a: NonNullable<StoredFacet>, b: NonNullable<StoredFacet>): number {
  if (typeof a !== typeof b) return typeof a < typeof b ? -1 : 1
  return a < b ? -1 : 1
}

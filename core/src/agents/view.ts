import type { AgentView } from '@fleetupdate/sdk'
import type { Store } from '../store/store.ts'
import type { AgentEntry } from './fleet-index.ts'
import type { AgentTables } from './tables.ts'

type FactRow = AgentTables['agent_facts']

/** Agents as people and programs see them; one query for all of them per table. */
export async function viewAgents(store: Store, entries: readonly AgentEntry[]): Promise<AgentView[]> {
  const ids = entries.map((entry) => entry.id)
  if (ids.length === 0) return []
  const rows = await store.read
    .selectFrom('agents')
    .select(['id', 'agentVersion', 'executors', 'apps'])
    .where('id', 'in', ids)
    .execute()
  const keys = await store.read
    .selectFrom('agent_keys')
    .select(['agentId', 'createdAt'])
    .where('agentId', 'in', ids)
    .execute()
  const keyOf = new Map(keys.map(({ agentId, createdAt }) => [agentId, createdAt]))
  const facts = await store.read
    .selectFrom('agent_facts')
    .selectAll()
    .where('agentId', 'in', ids)
    .where('checked', '=', 1)
    .execute()
  const rowOf = new Map(rows.map((row) => [row.id, row]))
  const factsOf = groupByAgent(facts)
  return entries.map((entry) => {
    const row = rowOf.get(entry.id)
    return {
      id: entry.id,
      status: entry.online ? 'online' : 'offline',
      enrolledAt: isoTime(entry.enrolledAt),
      lastSeenAt: entry.lastSeenMs === null ? null : isoTime(entry.lastSeenMs),
      agentVersion: row?.agentVersion ?? null,
      ...viewKey(keyOf.get(entry.id), entry),
      ...viewQuarantine(entry),
      executors: JSON.parse(row?.executors ?? '[]'),
      apps: JSON.parse(row?.apps ?? '[]'),
      ...viewFacts(factsOf.get(entry.id) ?? []),
      facets: entry.facets,
    }
  })
}

/** Where an agent is in quarantine: since when, and why. */
export function viewQuarantine({ quarantine }: AgentEntry): Pick<AgentView, 'quarantine'> {
  if (!quarantine) return {}
  return { quarantine: { since: isoTime(quarantine.sinceMs), reason: quarantine.reason } }
}

/** Agents of other protocols have no key. */
function viewKey(createdAt: number | undefined, entry: AgentEntry): Pick<AgentView, 'keyRotatedAt'> {
  return createdAt === undefined ? {} : { keyRotatedAt: isoTime(createdAt || entry.enrolledAt) }
}

/** Unix ms as ISO 8601 UTC. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}

function viewFacts(rows: readonly FactRow[]): Pick<AgentView, 'facts' | 'factsMeta'> {
  const facts: AgentView['facts'] = {}
  const factsMeta: AgentView['factsMeta'] = {}
  for (const { plugin, fact, value, error, observedAt, revision } of rows) {
    facts[plugin] ??= {}
    factsMeta[plugin] ??= {}
    if (value !== null) facts[plugin][fact] = JSON.parse(value)
    factsMeta[plugin][fact] = {
      observedAt: isoTime(observedAt),
      revision,
      ...(error === null ? {} : { error }),
    }
  }
  return { facts, factsMeta }
}

function groupByAgent(facts: readonly FactRow[]): Map<string, FactRow[]> {
  const groups = new Map<string, FactRow[]>()
  for (const fact of facts) {
    const group = groups.get(fact.agentId)
    if (group) group.push(fact)
    else groups.set(fact.agentId, [fact])
  }
  return groups
}

import { setImmediate as turn } from 'node:timers/promises'
import type { Log } from '@fleetupdate/sdk'
import type { ContractRegistry } from '../plugins/registry.ts'
import type { Store, WriteStatement } from '../store/store.ts'
import { computeFacets, problemText } from './facts.ts'
import type { FleetIndex, StoredFacet } from './fleet-index.ts'

type Facets = Readonly<Record<string, StoredFacet>>

/** Statements that bring the stored facets of an agent from what is known to what they are now. */
export function facetStatements(
  store: Store,
  agentId: string,
  known: Facets,
  facets: Facets,
): WriteStatement[] {
  return Object.entries(facets)
    .filter(([name, value]) => known[name] !== value)
    .map(([name, value]) => {
      const columns = columnsOf(value)
      return store.read
        .insertInto('agent_facets')
        .values({ agentId, name, ...columns })
        .onConflict((conflict) => conflict.columns(['agentId', 'name']).doUpdateSet(columns))
        .compile()
    })
}

/**
 * After a plugin became active: checks the facts that came before it, and computes the facets of all agents again, a few agents at
 * a time. Returns the function that ends it.
 */
export function followContracts(deps: {
  readonly store: Store
  readonly index: FleetIndex
  readonly contracts: ContractRegistry
  readonly log: Log
}): () => void {
  const { store, index, contracts, log } = deps
  const disposed = new AbortController()
  let work = Promise.resolve()
  const end = contracts.onChange((plugin) => {
    work = work
      .then(() => refresh(deps, plugin, disposed.signal))
      .catch((error: unknown) =>
        log.error(`The facets of "${plugin}" could not be computed`, { error: String(error) }),
      )
  })
  for (const plugin of new Set(
    [...contracts.facetNames().values()].map(({ qualified }) => pluginOf(qualified)),
  ))
    work = work
      .then(() => refresh({ store, index, contracts }, plugin, disposed.signal))
      .catch(() => undefined)
  return () => {
    disposed.abort()
    end()
  }
}

const agentsAtOnce = 20

async function refresh(
  { store, index, contracts }: { store: Store; index: FleetIndex; contracts: ContractRegistry },
  plugin: string,
  signal: AbortSignal,
): Promise<void> {
  let after = ''
  while (!signal.aborted && contracts.contract(plugin)) {
    const agents = await store.read
      .selectFrom('agent_facts')
      .select('agentId')
      .distinct()
      .where('plugin', '=', plugin)
      .where('agentId', '>', after)
      .orderBy('agentId')
      .limit(agentsAtOnce)
      .execute()
    const last = agents.at(-1)
    if (!last) return
    after = last.agentId
    await refreshAgents(
      { store, index, contracts },
      plugin,
      agents.map((row) => row.agentId),
    )
    await turn()
  }
}

async function refreshAgents(
  { store, index, contracts }: { store: Store; index: FleetIndex; contracts: ContractRegistry },
  plugin: string,
  agentIds: readonly string[],
): Promise<void> {
  const contract = contracts.contract(plugin)
  if (!contract) return
  const rows = await store.read
    .selectFrom('agent_facts')
    .select(['agentId', 'plugin', 'fact', 'value', 'checked', 'revision'])
    .where('plugin', '=', plugin)
    .where('agentId', 'in', agentIds)
    .execute()
  const statements: WriteStatement[] = []
  for (const row of rows) {
    if (row.checked === 1) continue
    const checked = row.value === null ? undefined : contract.checkFact(row.fact, JSON.parse(row.value))
    row.checked = 1
    const isBad = checked !== undefined && 'problems' in checked
    if (isBad) row.value = null
    else if (checked) row.value = JSON.stringify(checked.value)
    statements.push(
      store.read
        .updateTable('agent_facts')
        .set({
          checked: 1,
          value: row.value,
          ...(isBad && 'problems' in checked ? { error: problemText(checked.problems) } : {}),
        })
        .where('agentId', '=', row.agentId)
        .where('plugin', '=', plugin)
        .where('fact', '=', row.fact)
        .where('revision', '=', row.revision)
        .compile(),
    )
  }
  const computed = new Map<string, Facets>()
  for (const agentId of agentIds) {
    const entry = index.get(agentId)
    if (!entry) continue
    const own = rows.filter((row) => row.agentId === agentId)
    const facets = computeFacets(contracts, [plugin], own)
    const changes = facetStatements(store, agentId, entry.facets, facets)
    if (changes.length > 0) computed.set(agentId, facets)
    statements.push(...changes)
  }
  if (statements.length === 0) return
  await store.write(statements)
  for (const [agentId, facets] of computed)
    index.setFacets(agentId, { ...index.get(agentId)?.facets, ...facets })
}

function columnsOf(value: StoredFacet): {
  kind: 'string' | 'number' | 'boolean' | 'null'
  text: string | null
  number: number | null
} {
  if (typeof value === 'string') return { kind: 'string', text: value, number: null }
  if (typeof value === 'boolean') return { kind: 'boolean', text: null, number: value ? 1 : 0 }
  if (typeof value === 'number') return { kind: 'number', text: null, number: value }
  return { kind: 'null', text: null, number: null }
}

function pluginOf(qualified: string): string {
  return qualified.slice(0, qualified.indexOf('.'))
}

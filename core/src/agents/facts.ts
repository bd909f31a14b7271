import type { FactItem } from '@fleetupdate/sdk/protocol'
import type { EventBus } from '../events/bus.ts'
import type { ContractRegistry } from '../plugins/registry.ts'
import type { Store, WriteStatement } from '../store/store.ts'
import { facetStatements } from './facets.ts'
import type { FactHooks, StoredFacts } from './fact-hooks.ts'
import type { FleetIndex, StoredFacet } from './fleet-index.ts'
import type { AgentTables } from './tables.ts'
import { isoTime } from './view.ts'

type FactRow = AgentTables['agent_facts']

/** What agents observed. */
export interface Facts {
  /**
   * Stores the facts of one frame; resolves with its highest revision once they are durable and plugins have seen them. Facts that do
   * not fit their contract are an error on that fact. One call at a time per agent.
   */
  receive(agentId: string, items: readonly FactItem[]): Promise<number>
}

export interface FactsOptions {
  readonly store: Store
  readonly index: FleetIndex
  readonly contracts: ContractRegistry
  readonly hooks: FactHooks
  readonly bus: EventBus
}

/** Facts of plugins that are not active are kept unchecked until they are; so many per agent, this long. */
const uncheckedPerAgent = 64
const uncheckedLength = 256 * 1024

export function createFacts({ store, index, contracts, hooks, bus }: FactsOptions): Facts {
  return {
    async receive(agentId, items) {
      const revision = items.reduce((highest, item) => Math.max(highest, item.revision), 0)
      const plugins = [...new Set(items.map((item) => item.plugin))]
      const stored = await store.read
        .selectFrom('agent_facts')
        .selectAll()
        .where('agentId', '=', agentId)
        .where('plugin', 'in', plugins)
        .execute()
      const rows = new Map(stored.map((row) => [`${row.plugin}\0${row.fact}`, row]))
      const changed = new Map<string, FactRow>()
      let unchecked = stored.filter((row) => row.checked === 0).length
      for (const item of items) {
        const key = `${item.plugin}\0${item.fact}`
        const former = rows.get(key)
        if (former && item.revision <= former.revision) continue
        const row = rowOf(agentId, item, former, contracts)
        if (!row || (row.checked === 0 && !former && ++unchecked > uncheckedPerAgent)) continue
        rows.set(key, row)
        changed.set(key, row)
      }
      if (changed.size === 0) return revision

      const facets = computeFacets(contracts, plugins, [...rows.values()])
      const known = index.get(agentId)?.facets ?? {}
      await store.write([
        ...[...changed.values()].map((row) => factStatement(store, row)),
        ...facetStatements(store, agentId, known, facets),
        store.read
          .updateTable('agents')
          .set({ factRevision: revision })
          .where('id', '=', agentId)
          .where('factRevision', '<', revision)
          .compile(),
      ])
      index.setFacets(agentId, { ...index.get(agentId)?.facets, ...facets })
      for (const plugin of plugins) {
        const update = updateOf(agentId, plugin, [...changed.values()])
        if (update) await hooks.run(plugin, update)
        bus.emit('facts.updated', { agentId, plugin })
      }
      return revision
    },
  }
}

/** Checks a fact against its contract. An error, the agent's or ours, keeps the last good value with its age. */
function rowOf(
  agentId: string,
  item: FactItem,
  former: FactRow | undefined,
  contracts: ContractRegistry,
): FactRow | undefined {
  const { plugin, fact, revision } = item
  const observedAt = Date.parse(item.observedAt)
  const contract = contracts.contract(plugin)
  const failed = (error: string): FactRow => ({
    agentId,
    plugin,
    fact,
    value: former?.value ?? null,
    observedAt: former?.value == null ? observedAt : former.observedAt,
    error,
    revision,
    checked: 1,
  })
  if (!contract) {
    const value = item.value === undefined ? null : JSON.stringify(item.value)
    if ((value?.length ?? 0) > uncheckedLength) return undefined
    return { agentId, plugin, fact, value, error: item.error ?? null, observedAt, revision, checked: 0 }
  }
  if (!Object.hasOwn(contract.contract.facts, fact)) return undefined
  if (item.error !== undefined) return failed(item.error)
  const checked = contract.checkFact(fact, item.value)
  if (!checked) return undefined
  if ('problems' in checked) return failed(problemText(checked.problems))
  const value = JSON.stringify(checked.value)
  return { agentId, plugin, fact, value, error: null, observedAt, revision, checked: 1 }
}

/** What is shown where a value does not fit. */
export function problemText(problems: readonly string[]): string {
  const text = `The value does not fit the contract: ${problems.join('; ')}. Update the agent's executor or the plugin.`
  return text.slice(0, 1000)
}

/** The facets of these plugins from all their facts of one agent. */
export function computeFacets(
  contracts: ContractRegistry,
  plugins: readonly string[],
  rows: readonly Pick<FactRow, 'plugin' | 'fact' | 'value' | 'checked'>[],
): Record<string, StoredFacet> {
  const facets: Record<string, StoredFacet> = {}
  for (const plugin of plugins) {
    const contract = contracts.contract(plugin)
    if (!contract || Object.keys(contract.contract.facets).length === 0) continue
    const known: Record<string, unknown> = {}
    for (const row of rows)
      if (row.plugin === plugin && row.checked === 1 && row.value !== null)
        known[row.fact] = JSON.parse(row.value)
    Object.assign(facets, contract.facets(known))
  }
  return facets
}

function factStatement(store: Store, row: FactRow): WriteStatement {
  const { value, error, observedAt, revision, checked } = row
  return store.read
    .insertInto('agent_facts')
    .values(row)
    .onConflict((conflict) =>
      conflict
        .columns(['agentId', 'plugin', 'fact'])
        .doUpdateSet({ value, error, observedAt, revision, checked })
        .where('agent_facts.revision', '<', revision),
    )
    .compile()
}

function updateOf(agentId: string, plugin: string, changed: readonly FactRow[]): StoredFacts | undefined {
  const good = changed.filter(
    (row) => row.plugin === plugin && row.checked === 1 && row.error === null && row.value !== null,
  )
  if (good.length === 0) return undefined
  return {
    agentId,
    facts: Object.fromEntries(good.map((row) => [row.fact, JSON.parse(row.value ?? 'null')])),
    observedAt: Object.fromEntries(good.map((row) => [row.fact, isoTime(row.observedAt)])),
  }
}

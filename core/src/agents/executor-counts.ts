import type { ExecutorView } from '@fleetupdate/sdk'
import type { Store } from '../store/store.ts'

/** Plugin id → `<version>/<contract hash>` → number of agents that have this executor. */
export type ExecutorCounts = Readonly<Record<string, Readonly<Record<string, number>>>>

/** Which executors the fleet has, as the agents reported them. Agents of one build report the same text, so few rows are read. */
export async function countExecutors({ read }: Store): Promise<ExecutorCounts> {
  const rows = await read
    .selectFrom('agents')
    .select(({ fn }) => ['executors', fn.countAll<number>().as('agents')])
    .where('removedAt', 'is', null)
    .groupBy('executors')
    .execute()
  const counts: Record<string, Record<string, number>> = {}
  for (const row of rows) {
    for (const { id, version, contractHash } of JSON.parse(row.executors) as ExecutorView[]) {
      const own = counts[id] ?? {}
      const name = `${version}/${contractHash}`
      own[name] = (own[name] ?? 0) + Number(row.agents)
      counts[id] = own
    }
  }
  return counts
}

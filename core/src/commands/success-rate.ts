import type { Store } from '../store/store.ts'

/** How the newest finished commands ended, in memory: the answer takes the same time however many there are. */
export interface SuccessRate {
  add(state: string): void
  /** Between 0 and 1 over the newest `last` (at most 1000); null where there is none. */
  of(last: number): number | null
}

const kept = 1000

/** Endless commands count in no statistics: do not add them. */
export async function createSuccessRate(store: Store): Promise<SuccessRate> {
  const rows = await store.read
    .selectFrom('commands')
    .select('state')
    .where('endless', '=', 0)
    .where('finishedAt', 'is not', null)
    .orderBy('finishedAt', 'desc')
    .limit(kept)
    .execute()
  const succeeded = rows.map((row) => row.state === 'succeeded').reverse()
  return {
    add(state) {
      succeeded.push(state === 'succeeded')
      if (succeeded.length > kept * 2) succeeded.splice(0, succeeded.length - kept)
    },
    of(last) {
      const newest = succeeded.slice(-Math.max(1, Math.min(kept, Math.floor(last))))
      return newest.length === 0 ? null : newest.filter(Boolean).length / newest.length
    },
  }
}

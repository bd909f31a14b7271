import { setImmediate as turn } from 'node:timers/promises'
import type { Store } from '../store/store.ts'

export interface RetentionOptions {
  readonly store: Store
  /** Commands in memory are at work. */
  isOpen(id: string): boolean
  /** How long a command that ended is kept. */
  readonly keepMs: number
  readonly now: () => number
}

/** What was deleted. */
export interface Deleted {
  readonly commands: number
  readonly batches: number
}

const rowsAtOnce = 500

/**
 * Deletes commands that ended (or whose agent's identity ended, so that they never can) longer ago than is kept, then the batches none of whose
 * commands is left. A few rows at a time, so that nobody waits for it. Nothing that may still happen is touched.
 */
export async function deleteOldCommands(options: RetentionOptions): Promise<Deleted> {
  const { store, isOpen, keepMs, now } = options
  const before = now() - keepMs
  let commands = 0
  for (const endless of [0, 1])
    commands += await inPages((after) =>
      store.read
        .selectFrom('commands')
        .select(['id', 'finishedAt as place'])
        .where('endless', '=', endless)
        .where('finishedAt', '>=', Number(after ?? 0))
        .where('finishedAt', '<', before)
        .orderBy('finishedAt')
        .limit(rowsAtOnce)
        .execute(),
    )
  commands += await inPages((after) =>
    store.read
      .selectFrom('commands')
      .select(['id', 'id as place'])
      .where('state', 'in', ['offered', 'started', 'running'])
      .where('id', '>', String(after ?? ''))
      .where('expiresAt', '<', before)
      .orderBy('id')
      .limit(rowsAtOnce)
      .execute(),
  )
  return { commands, batches: await deleteEmptyBatches(store, before) }

  async function inPages(
    page: (
      after: string | number | null | undefined,
    ) => Promise<{ id: string; place: string | number | null }[]>,
  ): Promise<number> {
    let deleted = 0
    let after: string | number | null | undefined
    for (;;) {
      const rows = await page(after)
      const ids = rows.map(({ id }) => id).filter((id) => !isOpen(id))
      if (ids.length > 0)
        await store.write([store.read.deleteFrom('commands').where('id', 'in', ids).compile()])
      deleted += ids.length
      after = rows.at(-1)?.place
      if (rows.length < rowsAtOnce) return deleted
      await turn()
    }
  }
}

async function deleteEmptyBatches(store: Store, before: number): Promise<number> {
  let deleted = 0
  for (;;) {
    const rows = await store.read
      .selectFrom('batches')
      .select('id')
      .where('createdAt', '<', before)
      .where(({ not, exists, selectFrom }) =>
        not(exists(selectFrom('commands').select('commands.id').whereRef('batchId', '=', 'batches.id'))),
      )
      .limit(rowsAtOnce)
      .execute()
    const ids = rows.map(({ id }) => id)
    if (ids.length > 0) await store.write([store.read.deleteFrom('batches').where('id', 'in', ids).compile()])
    deleted += ids.length
    if (ids.length < rowsAtOnce) return deleted
    await turn()
  }
}

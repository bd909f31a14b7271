import type { Store } from '../store/store.ts'

/** Ids of the plugins an admin disabled; they stay so over restarts. */
export async function readDisabled(store: Store): Promise<ReadonlySet<string>> {
  const rows = await store.read
    .selectFrom('plugin_states')
    .select('id')
    .where('disabledAt', 'is not', null)
    .execute()
  return new Set(rows.map(({ id }) => id))
}

/** Stores, durably, since when a plugin is disabled; null: it is not. */
export async function writeDisabled(store: Store, id: string, disabledAt: number | null): Promise<void> {
  const query = store.read
    .insertInto('plugin_states')
    .values({ id, disabledAt })
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ disabledAt }))
  await store.write([query.compile()])
}

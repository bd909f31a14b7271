import type { Store } from '../store/store.ts'

/** What admins decided about plugins, true where one was enabled; it stays so over restarts. */
export async function readDecisions(store: Store): Promise<ReadonlyMap<string, boolean>> {
  const rows = await store.read.selectFrom('plugin_states').select(['id', 'disabledAt']).execute()
  return new Map(rows.map(({ id, disabledAt }) => [id, disabledAt === null]))
}

/** Stores, durably, since when a plugin is disabled; null: it is not. */
export async function writeDisabled(store: Store, id: string, disabledAt: number | null): Promise<void> {
  const query = store.read
    .insertInto('plugin_states')
    .values({ id, disabledAt })
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ disabledAt }))
  await store.write([query.compile()])
}

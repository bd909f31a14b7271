import { afterEach, expect, test } from 'vitest'
import { coreMigrations } from '../store/core-migrations.ts'
import { openTestStore, type TestStore } from '../store/testing/test-store.ts'
import { deleteOldCommands } from './retention.ts'
import type { CommandRow } from './tables.ts'

let opened: TestStore | undefined
afterEach(async () => {
  await opened?.dispose()
  opened = undefined
})

const day = 86_400_000
const now = 1000 * day
const ended = (id: string, daysAgo: number, more: Partial<CommandRow> = {}): CommandRow => ({
  ...{ id, batchId: null, agentId: 'vm-1', command: 'a.b', input: '{}', lane: null, timeoutSeconds: 1 },
  ...{ endless: 0, precondition: null, causeType: 'user', causeId: 'ada', state: 'succeeded', reason: null },
  ...{ result: null, exitCode: null, epoch: 1, generation: 1, notAfter: null, notBefore: null },
  ...{ createdAt: now - (daysAgo + 1) * day, expiresAt: now - daysAgo * day, startedAt: null },
  ...{ finishedAt: now - daysAgo * day, cancelRequestedAt: null, cancelForce: 0, outputBytes: null },
  ...{ outputDropped: null, outputSha256: null, outputStored: 1 },
  ...more,
})
const batch = (id: string, daysAgo: number) => ({
  ...{ id, command: 'a.b', total: 1, causeType: 'user', causeId: 'ada', createdAt: now - daysAgo * day },
})

async function storeWith(rows: readonly CommandRow[], batches: readonly ReturnType<typeof batch>[] = []) {
  opened = await openTestStore({ migrations: coreMigrations })
  const { store } = opened
  const inserts = rows.map((row) => store.read.insertInto('commands').values(row).compile())
  await store.write([
    ...inserts,
    ...batches.map((one) => store.read.insertInto('batches').values(one).compile()),
  ])
  return store
}
const idsOf = async (store: TestStore['store']): Promise<string[]> =>
  (await store.read.selectFrom('commands').select('id').orderBy('id').execute()).map(({ id }) => id)
const sweep = (store: TestStore['store'], open: readonly string[] = []) =>
  deleteOldCommands({ store, isOpen: (id) => open.includes(id), keepMs: 90 * day, now: () => now })

test('what ended longer ago than is kept goes, endless or not; what is younger stays', async () => {
  const store = await storeWith([
    ended('a', 91),
    ended('b', 89),
    ended('c', 91, { endless: 1 }),
    ended('d', 0),
  ])
  expect(await sweep(store)).toEqual({ commands: 2, batches: 0 })
  expect(await idsOf(store)).toEqual(['b', 'd'])
  expect(await sweep(store)).toEqual({ commands: 0, batches: 0 })
})

test('what may still happen stays however old it is; what can never end any more goes', async () => {
  const running = { state: 'running', finishedAt: null } as const
  const queued = { state: 'queued', finishedAt: null } as const
  const store = await storeWith([
    ended('at-work', 300, running),
    ended('lost', 300, running),
    ended('q', 300, queued),
  ])
  expect(await sweep(store, ['at-work'])).toEqual({ commands: 1, batches: 0 })
  expect(await idsOf(store)).toEqual(['at-work', 'q'])
})

test('many go in pages, and a batch with the last of its commands', async () => {
  const many = Array.from({ length: 1203 }, (_, i) => ended(`m-${i}`, 100 + (i % 3), { batchId: 'old' }))
  const store = await storeWith(
    [...many, ended('z', 1, { batchId: 'half' })],
    [batch('old', 101), batch('half', 101)],
  )
  expect(await sweep(store)).toEqual({ commands: 1203, batches: 1 })
  expect(await idsOf(store)).toEqual(['z'])
})

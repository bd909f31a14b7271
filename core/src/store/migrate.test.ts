import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Migration } from '@fleetupdate/sdk'
import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { StoreOptions } from './create-store.ts'
import { openTestStore, type TestStore } from './testing/test-store.ts'

let dir = ''
let opened: TestStore | undefined
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fleetupdate-migrate-'))
})
afterEach(async () => {
  await opened?.store.close()
  await rm(dir, { recursive: true })
})

function table(name: string): Migration {
  return {
    name: `0001-${name}`,
    up: (db) =>
      db.schema
        .createTable(name)
        .addColumn('id', 'integer', (c) => c.primaryKey())
        .execute(),
  }
}

async function tables({ store }: TestStore): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by name`.execute(
    store.read,
  )
  return rows.map(({ name }) => name)
}

/** Opens the same folder with other migrations, as another version of the program would. */
async function start(migrations: StoreOptions['migrations']): Promise<TestStore> {
  await opened?.store.close()
  opened = undefined
  opened = await openTestStore({ dir, migrations })
  return opened
}

test('each migration runs once, and new ones after a restart', async () => {
  await start([table('a')])
  await start([table('a')])
  expect(await tables(await start([table('a'), table('b')]))).toEqual(['a', 'b', 'migrations'])
})

test('rooms grow their own series independently of each other', async () => {
  await start([[table('a')], [table('c')]])
  await start([[table('a'), table('b')], [table('c')]])
  expect(await tables(await start([[table('z')], [table('a'), table('b')], [table('c')]]))).toEqual([
    'a',
    'b',
    'c',
    'migrations',
    'z',
  ])
})

test('a migration that fails in its middle leaves nothing behind', async () => {
  const broken: Migration = {
    name: '0002-broken',
    async up(db) {
      await db.schema.createTable('half').addColumn('id', 'integer').execute()
      await db.schema.createTable('a').addColumn('id', 'integer').execute()
    },
  }
  await start([table('a')])
  await expect(start([table('a'), broken])).rejects.toThrow(/table "?a"? already exists/)
  expect(await tables(await start([table('a')]))).toEqual(['a', 'migrations'])
})

test('a migration may fill its tables but not read them', async () => {
  const seed: Migration = {
    name: '0002-seed',
    up: async (db) => void (await db.insertInto('a').values({ id: 7 }).execute()),
  }
  const peek: Migration = {
    name: '0003-peek',
    up: async (db) => void (await db.selectFrom('a').selectAll().execute()),
  }
  const { store } = await start([table('a'), seed])
  expect(
    await store.read
      .selectFrom('a' as never)
      .selectAll()
      .execute(),
  ).toEqual([{ id: 7 }])
  await expect(start([table('a'), seed, peek])).rejects.toThrow(/"0003-peek" reads/)
})

test('a database of a newer program is refused', async () => {
  await start([table('a'), table('b')])
  await expect(start([table('a')])).rejects.toMatchObject({
    code: 'FLT_STORE_MIGRATION',
    message: expect.stringContaining('newer version, which added "0001-b"'),
  })
})

test('a program that lost an old migration is refused', async () => {
  await start([table('a'), table('b')])
  await expect(start([table('b')])).rejects.toThrow(/lacks "0001-a"/)
})

test('a migration put before applied ones is refused', async () => {
  await start([table('a'), table('c')])
  await expect(start([table('a'), table('b'), table('c')])).rejects.toThrow(
    /"0001-c" was applied before "0001-b"/,
  )
})

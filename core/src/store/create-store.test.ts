import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import type { Migration } from '@fleetupdate/sdk'
import { afterEach, describe, expect, test } from 'vitest'
import type { WriteStatement } from './store.ts'
import { holdLock, startProgram } from './testing/start-child.ts'
import { openTestStore, type TestStore } from './testing/test-store.ts'

const opened: TestStore[] = []
const items: Migration = {
  name: '0001-items',
  up: (db) =>
    db.schema
      .createTable('items')
      .addColumn('id', 'integer', (c) => c.primaryKey())
      .addColumn('value', 'blob')
      .execute(),
}

async function open(options: Parameters<typeof openTestStore>[0] = {}): Promise<TestStore> {
  const test = await openTestStore({ migrations: [items], ...options })
  opened.push(test)
  return test
}

function insert(id: number, value: unknown = null): WriteStatement {
  return { sql: 'insert into items (id, value) values (?, ?)', parameters: [id, value], expectedRows: 1 }
}

async function ids({ store }: TestStore): Promise<number[]> {
  const rows = await store.read
    .selectFrom('items' as never)
    .select('id' as never)
    .orderBy('id' as never)
    .execute()
  return rows.map(({ id }) => id as number)
}

afterEach(async () => {
  for (const each of opened.splice(0)) await each.dispose()
})

describe('writing', () => {
  test('keeps text, numbers, bigints, bytes and null as they were', async () => {
    const { store } = await open()
    const slice = Buffer.from('abcdef').subarray(1, 4)
    const values = ['wörld\0', 1.5, 2n ** 40n, slice, null]
    await store.write(values.map((value, id) => insert(id, value)))
    const rows = await store.read
      .selectFrom('items' as never)
      .select('value' as never)
      .orderBy('id' as never)
      .execute()
    expect(rows.map(({ value }) => value)).toEqual(['wörld\0', 1.5, 2 ** 40, Buffer.from('bcd'), null])
  })

  test('answers the rows of RETURNING and the number of changed rows', async () => {
    const { store } = await open()
    const outcomes = await store.write([
      { sql: 'insert into items (id) values (1), (2) returning id', parameters: [] },
      { sql: 'update items set value = 7', parameters: [] },
    ])
    expect(outcomes).toEqual([
      { changes: 2, rows: [{ id: 1 }, { id: 2 }] },
      { changes: 2, rows: [] },
    ])
  })

  test('leaves a batch out where an expected row count does not hold, and keeps its neighbours of the same commit', async () => {
    const each = await open()
    const results = await Promise.allSettled([
      each.store.write([insert(1)]),
      each.store.write([
        insert(2),
        { sql: 'delete from items where id = 99', parameters: [], expectedRows: 1 },
      ]),
      each.store.write([insert(3)]),
      each.store.write([insert(3)]),
    ])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected'])
    expect(results[1]).toMatchObject({
      reason: {
        code: 'FLT_STORE_CONFLICT',
        status: 409,
        details: { statement: 1, expectedRows: 1, changes: 0 },
      },
    })
    expect(results[3]).toMatchObject({
      reason: {
        code: 'FLT_STORE_CONFLICT',
        details: { statement: 0, constraint: 'SQLITE_CONSTRAINT_PRIMARYKEY' },
      },
    })
    expect(await ids(each)).toEqual([1, 3])
  })

  test('an unhurried write keeps its place before the next one, and needs none to become durable', async () => {
    const each = await open()
    const steps: string[] = []
    const value = (text: string): WriteStatement => ({
      sql: 'update items set value = ? where id = 1',
      parameters: [text],
      expectedRows: 1,
    })
    const unhurried = each.store
      .write([insert(1, 'new')], { unhurried: true })
      .then(() => steps.push('unhurried'))
    const next = each.store.write([value('next')]).then(() => steps.push('next'))
    await Promise.all([unhurried, next])
    expect(steps).toEqual(['unhurried', 'next'])
    await each.store.write([value('alone')], { unhurried: true })
    const rows = await each.store.read
      .selectFrom('items' as never)
      .select('value' as never)
      .execute()
    expect(rows).toEqual([{ value: 'alone' }])
  })

  test('closing does not lose what was unhurried', async () => {
    const each = await open()
    const written = each.store.write([insert(1)], { unhurried: true })
    await each.store.close()
    expect(await written).toEqual([{ changes: 1, rows: [] }])
  })

  test('survives a statement that ends the whole transaction', async () => {
    const each = await open()
    await each.store.write([insert(1)])
    const results = await Promise.allSettled([
      each.store.write([insert(2)]),
      each.store.write([{ sql: 'insert or rollback into items (id) values (1)', parameters: [] }]),
      each.store.write([insert(3)]),
    ])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(await ids(each)).toEqual([1, 2, 3])
  })

  test('finds the one batch whose deferred constraint fails at the commit', async () => {
    const each = await open()
    await each.store.write([
      {
        sql: 'create table parts (item integer references items (id) deferrable initially deferred)',
        parameters: [],
      },
    ])
    const results = await Promise.allSettled([
      each.store.write([insert(1)]),
      each.store.write([{ sql: 'insert into parts values (99)', parameters: [] }]),
      each.store.write([{ sql: 'insert into parts values (5)', parameters: [] }, insert(5)]),
    ])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(await ids(each)).toEqual([1, 5])
  })

  test('refuses a mistake with the number of its statement, and goes on', async () => {
    const each = await open()
    await expect(
      each.store.write([insert(1), { sql: 'insert into nowhere values (1)', parameters: [] }]),
    ).rejects.toThrow(/Statement 1 of a batch: no such table: nowhere/)
    await expect(each.store.write([insert(1, true)])).rejects.toThrow(/Statement 0 .* boolean/)
    await expect(each.store.write([insert(1), { sql: 'commit', parameters: [] }])).rejects.toThrow(
      /COMMIT cannot/,
    )
    await each.store.write([insert(2)])
    expect(await ids(each)).toEqual([2])
  })

  test('commits small batches of many writers together, at 10,000 a second and more', async () => {
    const each = await open()
    const total = 10_000
    let next = 0
    const started = performance.now()
    const writer = async () => {
      while (next < total) await each.store.write([insert(next++)])
    }
    await Promise.all(Array.from({ length: 256 }, writer))
    expect(performance.now() - started).toBeLessThan(1000)
    expect((await ids(each)).length).toBe(total)
  })

  test('answers what waits before it closes, and refuses what comes later', async () => {
    const each = await open()
    const last = each.store.write([insert(1)])
    const closed = each.store.close()
    await expect(each.store.write([insert(2)])).rejects.toMatchObject({ code: 'FLT_STORE_CLOSED' })
    await last
    await closed
    await each.reopen()
    expect(await ids(each)).toEqual([1])
  })
})

describe('reading', () => {
  test('cannot write', async () => {
    const { store } = await open()
    const table = store.read.insertInto('items' as never)
    await expect(table.values({ id: 1 } as never).execute()).rejects.toThrow(/This handle only reads/)
    await expect(store.read.transaction().execute(async () => {})).rejects.toThrow(
      /no interactive transactions/,
    )
  })

  test('sees a commit as soon as it is acknowledged', async () => {
    const each = await open()
    for (let id = 1; id <= 20; id++) {
      await each.store.write([insert(id)])
      expect(await ids(each)).toHaveLength(id)
    }
  })
})

describe('a plugin', () => {
  test('has a file of its own, which can be closed and opened again', async () => {
    const each = await open()
    const first = await each.store.openPlugin('metrics', [items])
    await first.write([insert(1)])
    await expect(each.store.openPlugin('metrics', [items])).rejects.toThrow(/open already/)
    await first.close()
    const again = await each.store.openPlugin('metrics', [items])
    expect(await again.query.selectFrom('items').selectAll().execute()).toEqual([{ id: 1, value: null }])
    expect(await ids(each)).toEqual([])
  })

  test('cannot leave its folder by its id', async () => {
    const { store } = await open()
    await expect(store.openPlugin('../core', [])).rejects.toThrow(/cannot name a database file/)
  })
})

describe('another process that holds the lock', () => {
  test('delays the write but not the event loop, nor the file of another', async () => {
    const each = await open()
    const plugin = await each.store.openPlugin('metrics', [items])
    const holder = await holdLock(join(each.dir, 'core.db'), 1000)
    const delay = monitorEventLoopDelay({ resolution: 10 })
    delay.enable()
    const started = performance.now()
    const write = each.store.write([insert(1)])
    await plugin.write([insert(1)])
    expect(performance.now() - started).toBeLessThan(500)
    expect(await ids(each)).toEqual([])
    await write
    delay.disable()
    expect(performance.now() - started).toBeGreaterThan(700)
    expect(delay.max / 1e6).toBeLessThan(250)
    expect(await ids(each)).toEqual([1])
    if (holder.exitCode === null) await once(holder, 'exit')
  })

  test('makes a write fail with 503 when it never lets go, and leaves it out', async () => {
    const each = await open({ busyMs: 300 })
    const holder = await holdLock(join(each.dir, 'core.db'), 60_000)
    await expect(each.store.write([insert(1)])).rejects.toMatchObject({ code: 'FLT_STORE_BUSY', status: 503 })
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    await each.store.write([insert(2)])
    expect(await ids(each)).toEqual([2])
  })
})

describe('trouble with the disk', () => {
  test('a killed process loses nothing that was acknowledged', async () => {
    const each = await open()
    const child = await startProgram('counting-writer.ts', [join(each.dir, 'killed')])
    const acknowledged: number[] = []
    for await (const line of createInterface({ input: child.stdout! })) {
      acknowledged.push(Number(line))
      if (acknowledged.length === 2000) child.kill('SIGKILL')
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(2000)
    const after = await openTestStore({ dir: join(each.dir, 'killed'), migrations: [numbers] })
    const rows = await after.store.read
      .selectFrom('numbers' as never)
      .select('n' as never)
      .execute()
    const stored = new Set(rows.map(({ n }) => n as number))
    await after.dispose()
    expect(acknowledged.filter((n) => !stored.has(n))).toEqual([])
  })

  test('a failed write stops everything at once and says so', async () => {
    const each = await open()
    const limit = ['prlimit', '--fsize=300000']
    const child = await startProgram('counting-writer.ts', [join(each.dir, 'limited')], limit)
    const lines: string[] = []
    for await (const line of createInterface({ input: child.stdout! })) lines.push(line)
    expect(lines.slice(-2)).toEqual(['fatal FLT_STORE_FAILED', 'all FLT_STORE_FAILED'])
    expect(lines.length).toBeGreaterThan(10)
  })

  test('a full disk refuses the batch that does not fit, and takes others again once there is room', async (context) => {
    const disk = await mkdtemp(join(tmpdir(), 'fleetupdate-disk-'))
    const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk])
    if (mount.status !== 0) return context.skip('a small disk can only be mounted by root')
    const ballast = join(disk, 'ballast')
    await writeFile(ballast, Buffer.alloc(1_000_000))
    const each = await openTestStore({ dir: join(disk, 'data'), migrations: [items] })
    try {
      let last = 0
      const fill = async (): Promise<void> => {
        while (last < 1000) await each.store.write([insert(++last, Buffer.alloc(50_000))])
      }
      await expect(fill()).rejects.toMatchObject({ code: 'FLT_STORE_FULL', status: 507 })
      await rm(ballast)
      await each.store.write([insert(5000)])
      expect(await ids(each)).toEqual([...Array.from({ length: last - 1 }, (_, i) => i + 1), 5000])
      expect(each.fatal).toEqual([])
    } finally {
      await each.dispose()
      spawnSync('umount', [disk])
      await rm(disk, { recursive: true })
    }
  })

  test('a damaged file is refused by name and left as it is', async () => {
    const each = await open()
    await each.store.close()
    const file = join(each.dir, 'core.db')
    const damaged = await readFile(file)
    damaged.fill(0x5a, 0, 2000)
    await writeFile(file, damaged)
    await expect(openTestStore({ dir: each.dir })).rejects.toMatchObject({
      code: 'FLT_STORE_CORRUPT',
      message: expect.stringContaining(file),
    })
    expect(await readFile(file)).toEqual(damaged)
  })

  test('a data folder that is a file is refused with what to do', async () => {
    const each = await open()
    await expect(openTestStore({ dir: join(each.dir, 'core.db') })).rejects.toMatchObject({
      code: 'FLT_START_DATA_DIR',
    })
  })
})

const numbers: Migration = { name: '0001-numbers', up: async () => {} }

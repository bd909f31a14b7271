import { openTestDatabase, type TestDatabase } from '@fleetupdate/sdk/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { rollUp } from './roll-up.ts'
import { seriesRange } from './series-range.ts'
import { createSeriesReader, type SeriesReader } from './series-reader.ts'
import { createSeriesWriter, type SeriesWriter } from './series-writer.ts'
import { migrations } from './tables.ts'
import { aSample } from './testing/a-sample.ts'

const minute = 60_000
const hour = 60 * minute
const start = Date.parse('2026-11-01T00:00:00.000Z')

let db: TestDatabase
let writer: SeriesWriter
let reader: SeriesReader
let clock: number
let silent: string[]

beforeEach(async () => {
  db = await openTestDatabase(migrations)
  clock = start
  silent = []
  writer = createSeriesWriter(db, () => clock)
  reader = createSeriesReader(db)
})
afterEach(() => db.close())

const roll = (): Promise<number> =>
  rollUp({
    db,
    nowMs: clock,
    signal: new AbortController().signal,
    onSilent: async (agentId) => {
      silent.push(agentId)
    },
  })

/** A sample a minute; the CPU counts 0, 1, 2 … 59 within each hour. */
async function live(minutes: number, agentId = 'vm-01'): Promise<void> {
  for (let i = 0; i < minutes; i += 1) {
    await writer.add(agentId, aSample({ cpu: (clock / minute) % 60 }), clock)
    clock += minute
    if (i % 10 === 0) await roll()
  }
}

const points = (query: { from: number; to?: number; step?: string }) =>
  reader.read(
    'vm-01',
    'cpu',
    seriesRange(
      {
        from: String(query.from),
        ...(query.to === undefined ? {} : { to: String(query.to) }),
        ...(query.step ? { step: query.step } : {}),
      },
      clock,
    ),
  )

const count = async (table: string): Promise<number> =>
  Number(
    (
      await db.query
        .selectFrom(table)
        .select((row) => row.fn.countAll().as('n'))
        .executeTakeFirstOrThrow()
    ).n,
  )

describe('series', () => {
  test('keep the value of each minute, once', async () => {
    await writer.add('vm-01', aSample({ cpu: 12.5 }), clock)
    await writer.add('vm-01', aSample({ cpu: 99 }), clock + 20_000)
    clock += minute
    expect(await points({ from: start })).toEqual([[start, 12.5, 12.5, 12.5]])
  })

  test('keep every metric in its unit', async () => {
    await writer.add('vm-01', aSample(), clock)
    clock += minute
    const read = async (metric: Parameters<SeriesReader['read']>[1]) =>
      (await reader.read('vm-01', metric, seriesRange({}, clock))).map(([, avg]) => avg)
    expect(await read('load')).toEqual([0.42])
    expect(await read('memory')).toEqual([25])
    expect(await read('disk')).toEqual([90])
    expect(await read('rx')).toEqual([5_000_000_000])
    expect(await read('swap')).toEqual([])
  })

  test('are rolled up with average, least and most, and doing it again changes nothing', async () => {
    await live(130)
    await roll()
    const before = await db.query.selectFrom('rollup_10m').selectAll().orderBy('minute').execute()
    await db.write([{ sql: 'update series_agents set rolled = ?', parameters: [start / minute] }])
    expect(await roll()).toBe(1)
    expect(await db.query.selectFrom('rollup_10m').selectAll().orderBy('minute').execute()).toEqual(before)
    expect(before[1]).toMatchObject({
      minute: start / minute + 10,
      n: 10,
      cpu_avg: 145,
      cpu_min: 100,
      cpu_max: 190,
    })
    expect((await db.query.selectFrom('rollup_1h').selectAll().execute())[0]).toMatchObject({
      n: 60,
      cpu_avg: 295,
      cpu_min: 0,
      cpu_max: 590,
    })
  })

  test('reach the present in every resolution, whatever was rolled up', async () => {
    await live(185)
    for (const step of ['60', '10m', '1h', '2h']) {
      const found = await points({ from: start, step })
      const [last] = found.slice(-1)
      const seconds = { '60': 60, '10m': 600, '1h': 3600, '2h': 7200 }[step] ?? 0
      expect(last?.[0]).toBe(Math.floor((clock - minute) / (seconds * 1000)) * seconds * 1000)
      expect(found.map(([time]) => time)).toEqual([...new Set(found.map(([time]) => time))].sort())
    }
    const hourly = await points({ from: start, step: '1h' })
    expect(hourly.slice(0, 3)).toEqual([0, 1, 2].map((i) => [start + i * hour, 29.5, 0, 59]))
    expect(hourly[3]).toEqual([start + 3 * hour, 2, 0, 4])
  })

  test('have a gap where nothing was measured', async () => {
    await live(20)
    clock += 2 * hour
    await live(20)
    const times = (await points({ from: start, step: '10m' })).map(([time]) => (time - start) / minute)
    expect(times).toEqual([0, 10, 140, 150])
  })

  test('are pruned: minutes after a day, ten minutes after a week, hours after 90 days', async () => {
    await live(60)
    expect([await count('samples'), await count('rollup_1h')]).toEqual([60, 1])
    clock = start + 26 * hour
    while ((await roll()) > 0);
    expect([await count('samples'), await count('rollup_10m'), await count('rollup_1h')]).toEqual([0, 6, 1])
    expect(await points({ from: start, step: '10m' })).toHaveLength(6)
    clock = start + 8 * 24 * hour
    await roll()
    expect([await count('rollup_10m'), await count('rollup_1h')]).toEqual([0, 1])
    clock = start + 91 * 24 * hour
    await roll()
    expect(await count('rollup_1h')).toBe(0)
    expect(silent).toContain('vm-01')
  })

  test('take a late sample into a span that was rolled up already', async () => {
    await live(40)
    await db.write([{ sql: 'delete from samples where minute = ?', parameters: [start / minute + 5] }])
    await writer.add('vm-01', aSample({ cpu: 100 }), start + 5 * minute)
    await roll()
    const [first] = await db.query.selectFrom('rollup_10m').selectAll().orderBy('minute').execute()
    expect(first).toMatchObject({ n: 10, cpu_max: 1000 })
  })

  test('do not believe a clock that is years off', async () => {
    await writer.add('vm-01', aSample(), start + 10 * 365 * 24 * hour)
    await writer.add('vm-02', aSample(), Number.NaN)
    clock += minute
    expect(await points({ from: start })).toHaveLength(1)
    expect(await count('samples')).toBe(2)
  })

  test('go with their agent, and a new one of that name starts empty', async () => {
    await live(30)
    await live(5, 'vm-02')
    await writer.remove('vm-01')
    expect(await points({ from: start })).toEqual([])
    expect(await count('samples')).toBe(5)
    await writer.add('vm-01', aSample(), clock)
    clock += minute
    expect(await points({ from: start })).toHaveLength(1)
  })

  test('of many agents are rolled up in short batches', async () => {
    for (let i = 0; i < 60; i += 1) await writer.add(`vm-${i}`, aSample(), clock)
    clock += 30 * minute
    expect(await roll()).toBe(60)
    expect(await count('rollup_10m')).toBe(60)
    expect(await roll()).toBe(0)
  })
})

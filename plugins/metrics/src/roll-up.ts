import type { PluginDatabase, WriteStatement } from '@fleetupdate/sdk'
import type { Kysely } from 'kysely'
import { aggregate, type Span } from './aggregate.ts'
import { metricNames } from './series-metrics.ts'
import type { MetricsTables, RollUpRow } from './tables.ts'
import { floorTo, tiers, toMinute } from './tiers.ts'

export interface RollUpOptions {
  readonly db: PluginDatabase
  readonly nowMs: number
  readonly signal: AbortSignal
  /** Told of agents that sent nothing lately; they may be gone for good. */
  readonly onSilent: (agentId: string) => Promise<void>
}

/** Agents in one write, and in one call: 10,000 agents come round in ten minutes. */
const perWrite = 25
const perCall = 500
/** A span is rolled up this long after its end, so that its last samples are there. */
const graceMinutes = 2

/**
 * Rolls the samples of agents that are due up into ten minutes and hours, and deletes what was kept long enough. Each span is made
 * again from all its samples, so that doing it twice changes nothing. Answers how many agents were done.
 */
export async function rollUp({ db, nowMs, signal, onSilent }: RollUpOptions): Promise<number> {
  const read: Kysely<MetricsTables> = db.query
  const now = toMinute(nowMs)
  const until = floorTo(now - graceMinutes, tiers.rollup_10m.step)
  let done = 0
  while (done < perCall && !signal.aborted) {
    const due = await read
      .selectFrom('series_agents')
      .selectAll()
      .where('rolled', '<', until)
      .orderBy('rolled')
      .orderBy('no')
      .limit(perWrite)
      .execute()
    if (due.length === 0) break
    const statements: WriteStatement[] = []
    const silent: string[] = []
    for (const agent of due) {
      const rows = await samplesSince(read, agent.no, agent.rolled, until)
      if (rows.length === 0) silent.push(agent.agent_id)
      statements.push(...rollUpOf(read, agent, rows, until), ...expired(read, agent.no, now))
    }
    await db.write(statements)
    for (const agentId of silent) await onSilent(agentId)
    done += due.length
  }
  return done
}

type SampleRow = MetricsTables['samples']

function samplesSince(
  read: Kysely<MetricsTables>,
  no: number,
  from: number,
  until: number,
): Promise<readonly SampleRow[]> {
  return read
    .selectFrom('samples')
    .selectAll()
    .where('no', '=', no)
    .where('minute', '>=', floorTo(from, tiers.rollup_1h.step))
    .where('minute', '<', until)
    .orderBy('minute')
    .execute()
}

function rollUpOf(
  read: Kysely<MetricsTables>,
  { no, rolled }: { readonly no: number; readonly rolled: number },
  rows: readonly SampleRow[],
  until: number,
): readonly WriteStatement[] {
  const tables = ['rollup_10m', 'rollup_1h'] as const
  const replaced = tables.flatMap((table) =>
    rollUpRows(no, rows, tiers[table].step)
      .filter(({ minute }) => minute + tiers[table].step > rolled)
      .flatMap((row) => [
        plain(read.deleteFrom(table).where('no', '=', no).where('minute', '=', row.minute).compile()),
        plain(read.insertInto(table).values(row).compile()),
      ]),
  )
  const moved = read
    .updateTable('series_agents')
    .set({ rolled: until })
    .where('no', '=', no)
    .where('rolled', '=', rolled)
    .compile()
  return [...replaced, plain(moved)]
}

/** All metrics of one agent, one row a span. */
export function rollUpRows(no: number, rows: readonly SampleRow[], step: number): readonly RollUpRow[] {
  const spans = new Map<number, Record<string, number | null>>()
  for (const metric of metricNames) {
    const series: Span[] = rows.map((row) => {
      const value = row[metric]
      return { minute: row.minute, n: 1, avg: value, min: value, max: value }
    })
    for (const { minute, n, avg, min, max } of aggregate(series, step)) {
      const row = spans.get(minute) ?? { no, minute, n }
      spans.set(minute, row)
      row[`${metric}_avg`] = avg === null ? null : Math.round(avg)
      row[`${metric}_min`] = min
      row[`${metric}_max`] = max
    }
  }
  return [...spans.values()].filter(isRollUpRow)
}

function isRollUpRow(row: object): row is RollUpRow {
  return 'no' in row && metricNames.every((metric) => `${metric}_avg` in row)
}

/** An hour longer than is promised, so that a roll-up in between finds all of its hour. */
function expired(read: Kysely<MetricsTables>, no: number, now: number): readonly WriteStatement[] {
  const tables = ['samples', 'rollup_10m', 'rollup_1h'] as const
  return tables.map((table) =>
    plain(
      read
        .deleteFrom(table)
        .where('no', '=', no)
        .where('minute', '<', now - tiers[table].keep - tiers.rollup_1h.step)
        .compile(),
    ),
  )
}

function plain({ sql, parameters }: WriteStatement): WriteStatement {
  return { sql, parameters }
}

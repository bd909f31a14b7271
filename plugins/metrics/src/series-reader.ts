import type { PluginDatabase } from '@fleetupdate/sdk'
import type { Kysely } from 'kysely'
import { aggregate, type Span } from './aggregate.ts'
import { type MetricName, seriesMetrics } from './series-metrics.ts'
import type { SeriesRange } from './series-range.ts'
import type { MetricsTables } from './tables.ts'
import { minuteMs } from './tiers.ts'

/** Start of the span in Unix milliseconds, average, least, most. Where nothing was measured there is no point. */
export type Point = readonly [timeMs: number, avg: number, min: number, max: number]

export interface SeriesReader {
  read(agentId: string, metric: MetricName, range: SeriesRange): Promise<readonly Point[]>
  /** The same of many agents at once, from their samples; agents without any are left out. */
  readMany(
    agentIds: readonly string[],
    metric: MetricName,
    range: SeriesRange,
  ): Promise<ReadonlyMap<string, readonly Point[]>>
}

export function createSeriesReader(db: PluginDatabase): SeriesReader {
  const read: Kysely<MetricsTables> = db.query

  const rolledSpans = (
    table: 'rollup_10m' | 'rollup_1h',
    metric: MetricName,
    no: number,
    from: number,
    to: number,
  ): Promise<Span[]> => {
    const names = [`${metric}_avg`, `${metric}_min`, `${metric}_max`] as const
    return read
      .selectFrom(table)
      .select((row) => [
        'minute',
        'n',
        row.ref(names[0]).as('avg'),
        row.ref(names[1]).as('min'),
        row.ref(names[2]).as('max'),
      ])
      .where('no', '=', no)
      .where('minute', '>=', from)
      .where('minute', '<', to)
      .orderBy('minute')
      .execute()
  }

  const sampleSpans = async (metric: MetricName, no: number, from: number, to: number): Promise<Span[]> => {
    const rows = await read
      .selectFrom('samples')
      .select((row) => ['minute', row.ref(metric).as('value')])
      .where('no', '=', no)
      .where('minute', '>=', from)
      .where('minute', '<', to)
      .orderBy('minute')
      .execute()
    return rows.map(({ minute, value }) => ({ minute, n: 1, avg: value, min: value, max: value }))
  }

  return {
    async read(agentId, metric, { from, to, step, tier }) {
      const agent = await read
        .selectFrom('series_agents')
        .selectAll()
        .where('agent_id', '=', agentId)
        .executeTakeFirst()
      if (!agent) return []
      if (tier === 'samples') return points(metric, await sampleSpans(metric, agent.no, from, to), step)
      // What is not rolled up yet comes from the samples.
      const border = Math.min(Math.max(agent.rolled, from), to)
      const spans = await rolledSpans(tier, metric, agent.no, from, border)
      const rest = await sampleSpans(metric, agent.no, border, to)
      return points(metric, [...spans, ...rest], step)
    },
    async readMany(agentIds, metric, { from, to, step }) {
      const rows = await read
        .selectFrom('series_agents')
        .innerJoin('samples', 'samples.no', 'series_agents.no')
        .select((row) => ['agent_id', 'minute', row.ref(metric).as('value')])
        .where('agent_id', 'in', agentIds)
        .where('minute', '>=', from)
        .where('minute', '<', to)
        .execute()
      const spans = new Map<string, Span[]>()
      for (const { agent_id, minute, value } of rows) {
        const own = spans.get(agent_id) ?? []
        spans.set(agent_id, own)
        own.push({ minute, n: 1, avg: value, min: value, max: value })
      }
      return new Map([...spans].map(([agentId, own]) => [agentId, points(metric, own, step)]))
    },
  }
}

function points(metric: MetricName, spans: readonly Span[], step: number): readonly Point[] {
  const { scale } = seriesMetrics[metric]
  const found: Point[] = []
  for (const { minute, avg, min, max } of aggregate(spans, step)) {
    if (avg === null || min === null || max === null) continue
    const round = (value: number): number => Math.round((value / scale) * 100) / 100
    found.push([minute * minuteMs, round(avg), round(min), round(max)])
  }
  return found
}

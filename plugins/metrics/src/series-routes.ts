import type { PluginContext } from '@fleetupdate/sdk'
import type { FastifyInstance } from 'fastify'
import { metricsError } from './errors.ts'
import { isMetricName, type MetricName, metricNames, seriesMetrics } from './series-metrics.ts'
import { type RangeQuery, seriesRange } from './series-range.ts'
import type { SeriesReader } from './series-reader.ts'
import { minuteMs } from './tiers.ts'

export interface SeriesRoutesOptions {
  readonly reader: SeriesReader
  readonly agents: Pick<PluginContext['agents'], 'get'>
  readonly now?: () => number
}

const mostAgents = 100
const sparkline = { minutes: 60, step: '2m' }

/**
 * `GET agents/:id/series?metric=&from=&to=&step=` answers `{ metric, unit, from, to, step, points: [[timeMs, avg, min, max]] }`, and
 * `GET sparklines?agents=a,b&metric=` the last hour of many as `{ …, series: { a: [[timeMs, avg]] } }`. `from` and `to` are Unix
 * milliseconds, `step` is in seconds; a missing point is a gap.
 */
export function registerSeries(http: FastifyInstance, options: SeriesRoutesOptions): void {
  const { reader, agents, now = Date.now } = options
  http.get<{ Params: { id: string }; Querystring: RangeQuery & { metric?: unknown } }>(
    '/agents/:id/series',
    { config: { role: 'viewer' } },
    async (request, reply) => {
      const metric = readMetric(request.query.metric)
      const range = seriesRange(request.query, now())
      if (!(await agents.get(request.params.id)))
        throw metricsError('FLT_AGENT_UNKNOWN', { id: request.params.id.slice(0, 64) })
      reply.header('cache-control', 'no-store')
      return { ...describe(metric, range), points: await reader.read(request.params.id, metric, range) }
    },
  )
  http.get<{ Querystring: { agents?: unknown; metric?: unknown } }>(
    '/sparklines',
    { config: { role: 'viewer' } },
    async (request, reply) => {
      const metric = readMetric(request.query.metric ?? 'cpu')
      const ids = readAgents(request.query.agents)
      const range = seriesRange(
        { from: String(now() - sparkline.minutes * minuteMs), step: sparkline.step },
        now(),
      )
      const found = await reader.readMany(ids, metric, range)
      reply.header('cache-control', 'no-store')
      const series = [...found].map(([id, points]) => [id, points.map(([timeMs, avg]) => [timeMs, avg])])
      return { ...describe(metric, range), series: Object.fromEntries(series) }
    },
  )
}

function describe(metric: MetricName, range: { from: number; to: number; step: number }): object {
  return {
    metric,
    unit: seriesMetrics[metric].unit,
    from: range.from * minuteMs,
    to: range.to * minuteMs,
    step: range.step * 60,
  }
}

function readMetric(value: unknown): MetricName {
  if (isMetricName(value)) return value
  throw metricsError('FLT_METRICS_UNKNOWN', {
    metric: String(value).slice(0, 64),
    known: metricNames.join(', '),
  })
}

function readAgents(value: unknown): readonly string[] {
  const ids = typeof value === 'string' ? [...new Set(value.split(',').filter((id) => id !== ''))] : []
  if (ids.length === 0 || ids.length > mostAgents)
    throw metricsError('FLT_METRICS_AGENTS', { most: mostAgents })
  return ids
}

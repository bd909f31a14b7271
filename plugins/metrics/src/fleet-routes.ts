import type { FastifyInstance } from 'fastify'
import type { Figures, FleetFigures } from './fleet-figures.ts'
import type { LatestSamples, LatestValues } from './latest-samples.ts'
import { type MetricFamily, prometheusText, prometheusType } from './prometheus.ts'

export interface FleetRoutesOptions {
  readonly figures: FleetFigures
  readonly latest: LatestSamples
  readonly version: string
}

/** So many agents have gauges of their own; of a larger fleet the rest is only counted. */
const mostAgents = 1000

/** `GET /api/metrics` for people and dashboards, `GET /metrics` for Prometheus. */
export function registerFleet(root: FastifyInstance, { figures, latest, version }: FleetRoutesOptions): void {
  root.get('/api/metrics', { config: { role: 'viewer' } }, async (_, reply) => {
    const { agentsTotal, agentsOnline, uptimeSeconds, commandSuccessRateLast100 } = await figures.read()
    reply.header('cache-control', 'no-store')
    return { agentsTotal, agentsOnline, uptimeSeconds, commandSuccessRateLast100, appDrift: null }
  })
  root.get('/metrics', { config: { role: 'viewer' } }, async (_, reply) => {
    const families = [...fleetFamilies(await figures.read(), version), ...agentFamilies(latest)]
    reply.type(prometheusType).header('cache-control', 'no-store')
    return prometheusText(families)
  })
}

function fleetFamilies(figures: Figures, version: string): readonly MetricFamily[] {
  const { agentsTotal, agentsOnline, counts } = figures
  return [
    gauge('up', 'The server answers.', [{ value: 1 }]),
    gauge('build_info', 'The version of the server.', [{ labels: { version }, value: 1 }]),
    gauge('uptime_seconds', 'Seconds since the server started.', [{ value: figures.uptimeSeconds }]),
    gauge('agents', 'Enrolled agents by status.', [
      { labels: { status: 'online' }, value: agentsOnline },
      { labels: { status: 'offline' }, value: agentsTotal - agentsOnline },
    ]),
    gauge(
      'agents_by_facet',
      'Agents for which a facet holds.',
      // Short forms (`all`, `outdated`) say the same again.
      Object.entries(counts)
        .filter(([facet]) => facet.includes('.'))
        .map(([facet, value]) => ({ labels: { facet }, value })),
    ),
    gauge('command_success_ratio_last_100', 'Share of the last 100 finished commands that succeeded.', [
      { value: figures.commandSuccessRateLast100 },
    ]),
  ]
}

function agentFamilies(latest: LatestSamples): readonly MetricFamily[] {
  const { items, omitted } = latest.list(mostAgents)
  const perAgent = (read: (values: LatestValues) => number | null) =>
    items.map((values) => ({ labels: { agent: values.agentId }, value: read(values) }))
  return [
    gauge(
      'agent_cpu_percent',
      'Processor use of an agent.',
      perAgent(({ cpu }) => cpu),
    ),
    gauge(
      'agent_memory_percent',
      'Memory use of an agent.',
      perAgent(({ memory }) => memory),
    ),
    gauge(
      'agent_disk_percent',
      'Use of the fullest disk of an agent.',
      perAgent(({ disk }) => disk),
    ),
    gauge('agents_without_gauges', 'Agents beyond the 1,000 that are shown one by one.', [
      { value: omitted },
    ]),
  ]
}

function gauge(name: string, help: string, samples: MetricFamily['samples']): MetricFamily {
  return { name: `fleetupdate_${name}`, help, type: 'gauge', samples }
}

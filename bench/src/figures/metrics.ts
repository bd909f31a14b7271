import { askRepeatedly } from '../latency.ts'
import { startEntry } from '../load/child.ts'
import type { Measure } from '../stage.ts'
import { milliseconds, percentile } from '../table.ts'
import { batch } from './batch.ts'

const requests = 3000

/** `GET /api/metrics` with at least as many commands in the database as the fleet has agents, against a ready answer of bare Fastify. */
export const metrics: Measure = {
  name: 'metrics',
  async measure(stage) {
    const { client, url } = await stage.server()
    const stored = await client.request<{ items: unknown[] }>(
      'GET',
      '/api/commands?command=lines.print&state=succeeded&limit=500',
    )
    if (stored.body.items.length < Math.min(500, stage.agents)) await batch.measure(stage)
    const times = await askRepeatedly(url, requests, { path: '/api/metrics', token: client.token })
    const ceiling = await startEntry('ceiling-fleet')
    try {
      const bare = await askRepeatedly(`http://127.0.0.1:${ceiling.port}`, requests, { path: '/metrics' })
      const [p50, p99] = [percentile(times, 0.5), percentile(times, 0.99)]
      return [
        {
          name: `GET /api/metrics, ${stage.agents.toLocaleString('en-US')} commands`,
          reached: `p50 ${milliseconds(p50)}, p99 ${milliseconds(p99)}`,
          ratio: percentile(bare, 0.5) / p50,
          bar: '≤ 5 ms',
          ok: p99 <= 5,
        },
      ]
    } finally {
      await ceiling.stop()
    }
  },
}

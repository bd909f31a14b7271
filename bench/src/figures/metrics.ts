import { Client } from 'undici'
import type { Measure } from '../stage.ts'
import { milliseconds, percentile } from '../table.ts'
import { batch } from './batch.ts'

const commands = 10_000
const requests = 300

/** `GET /api/metrics` with at least 10,000 commands in the database. */
export const metrics: Measure = {
  name: 'metrics',
  runs: 'alone',
  async measure(stage) {
    const server = await stage.server()
    const stored = await server.client.request<{ items: unknown[] }>(
      'GET',
      '/api/commands?command=lines.print&state=succeeded&limit=500',
    )
    if (stored.body.items.length < 500) await batch.measure(stage)
    const http = new Client(server.url)
    const headers = { authorization: `Bearer ${server.client.token}` }
    const times: number[] = []
    try {
      for (let i = 0; i < requests; i++) {
        const began = performance.now()
        const { statusCode, body } = await http.request({ method: 'GET', path: '/api/metrics', headers })
        const text = await body.text()
        times.push(performance.now() - began)
        if (statusCode !== 200) throw new Error(`GET /api/metrics answered ${statusCode}: ${text}`)
      }
    } finally {
      await http.close()
    }
    const [p50, p99] = [percentile(times, 0.5), percentile(times, 0.99)]
    return [
      {
        name: `GET /api/metrics, ${commands.toLocaleString('en-US')} commands`,
        reached: `p50 ${milliseconds(p50)}, p99 ${milliseconds(p99)}`,
        bar: '≤ 5 ms',
        ok: p99 <= 5,
      },
    ]
  },
}

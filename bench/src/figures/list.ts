import type { WireAgent } from '@fleetupdate/core/testing'
import { Client } from 'undici'
import { eachOf } from '../load/sim-fleet.ts'
import type { Measure } from '../stage.ts'
import { milliseconds, percentile } from '../table.ts'

const count = 10_000
const pages = 200
const query = 'filter=os-updates.outdated&sort=-os-updates.pending&limit=100'

/** A page of a fleet of 10,000 agents with real facts, filtered by one facet and sorted by another; every page from the first to the last. */
export const list: Measure = {
  name: 'list',
  runs: 'alone',
  async measure(stage) {
    const server = await stage.server()
    const sims = await stage.sims()
    await sims.connect(count)
    await eachOf([...sims.online.entries()], 200, ([index, agent]) => tellUpdates(agent, index))
    const http = new Client(server.url)
    const headers = { authorization: `Bearer ${server.client.token}` }
    const times: number[] = []
    let cursor: string | null = null
    try {
      for (let i = 0; i < pages; i++) {
        const began = performance.now()
        const more: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`
        const { statusCode, body } = await http.request({
          method: 'GET',
          path: `/api/agents?${query}${more}`,
          headers,
        })
        const text = await body.text()
        times.push(performance.now() - began)
        cursor = nextOf(statusCode, text)
      }
    } finally {
      await http.close()
    }
    const [p50, p99] = [percentile(times, 0.5), percentile(times, 0.99)]
    return [
      {
        name: 'fleet list, 10,000 agents, filtered and sorted',
        reached: `p50 ${milliseconds(p50)}, p99 ${milliseconds(p99)}`,
        bar: 'p99 ≤ 30 ms a page',
        ok: p99 <= 30,
      },
    ]
  },
}

/** 0 to 6 pending packages; resolves when the server has them durably. */
async function tellUpdates(agent: WireAgent, index: number): Promise<void> {
  const now = new Date().toISOString()
  const pending = Array.from({ length: index % 7 }, (_, i) => ({
    name: `package-${i}`,
    current: '1.0-1',
    candidate: '1.0-2',
    origin: 'Debian-Security',
    security: i === 0,
    held: false,
    phased: false,
  }))
  const acked = agent.next('ack', ({ facts }) => facts === revision)
  agent.send({
    type: 'facts',
    items: [
      {
        plugin: 'os-updates',
        fact: 'updates',
        value: { manager: 'apt', refreshedAt: now, pending },
        observedAt: now,
        revision,
      },
    ],
  })
  await acked
}

const revision = 1

function nextOf(status: number, text: string): string | null {
  const page: { items?: unknown[]; nextCursor?: string | null } = JSON.parse(text)
  if (status !== 200 || !page.items?.length) throw new Error(`No page of agents: ${text.slice(0, 300)}`)
  return page.nextCursor ?? null
}

import { askRepeatedly } from '../latency.ts'
import { startEntry } from '../load/child.ts'
import type { Measure } from '../stage.ts'
import { milliseconds, percentile } from '../table.ts'

const pages = 200
const query = 'filter=os-updates.outdated&sort=-os-updates.pending&limit=100'

/** A page of a large fleet with real facts, filtered by one facet and sorted by another; every page from the first to the last, and again. */
export const list: Measure = {
  name: 'list',
  async measure(stage) {
    const server = await stage.server()
    const sims = await stage.sims()
    await sims.connect(stage.agents)
    await sims.tell()
    const { token } = server.client
    let sample = '{}'
    const times = await askRepeatedly(server.url, pages, {
      token,
      path(previous) {
        const { items = [], nextCursor } = readPage(previous)
        if (items.length > 0) sample = JSON.stringify(items[0])
        return `/api/agents?${query}${nextCursor ? `&cursor=${encodeURIComponent(nextCursor)}` : ''}`
      },
    })
    const [p50, p99] = [percentile(times, 0.5), percentile(times, 0.99)]
    const bare = await barePages(stage.agents, sample)
    return [
      {
        name: `fleet list, ${stage.agents.toLocaleString('en-US')} agents, filtered and sorted`,
        reached: `p50 ${milliseconds(p50)}, p99 ${milliseconds(p99)}`,
        ratio: percentile(bare, 0.5) / p50,
        bar: 'p99 ≤ 30 ms a page',
        ok: p99 <= 30,
      },
    ]
  },
}

/** The same page as ready JSON out of an indexed table through bare Fastify. */
async function barePages(count: number, view: string): Promise<readonly number[]> {
  const ceiling = await startEntry('ceiling-fleet')
  const url = `http://127.0.0.1:${ceiling.port}`
  try {
    await fetch(`${url}/fill`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ count, view }),
    })
    return await askRepeatedly(url, pages, { path: '/page' })
  } finally {
    await ceiling.stop()
  }
}

function readPage(text: string): { readonly items?: unknown[]; readonly nextCursor?: string | null } {
  return text === '' ? {} : JSON.parse(text)
}

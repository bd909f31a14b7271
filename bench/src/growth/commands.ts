import { askRepeatedly } from '../latency.ts'
import { createStage } from '../stage.ts'
import { milliseconds, percentile } from '../table.ts'
import { count, growthTable } from './table.ts'

const sizes = [100, 1000, 10_000, 100_000]
const agents = 1000

/** Commands in the database, all ended: a page of the list, one of an agent, `GET /api/metrics`, one more command from accepted to ended. */
export async function growthOfCommands(): Promise<string> {
  const stage = createStage(agents)
  try {
    const { client, url } = await stage.server()
    const sims = await stage.sims()
    const rows: string[][] = []
    let stored = 0
    for (const size of sizes) {
      while (stored < size) {
        const part = Math.min(agents, size - stored)
        await sims.connect(part)
        const ids = (await sims.enrol(agents)).slice(0, part)
        stored += await runBatch(ids)
      }
      const { token } = client
      const ask = async (path: string): Promise<string> =>
        milliseconds(percentile(await askRepeatedly(url, 100, { path, token }), 0.99))
      rows.push([
        count(size),
        await ask('/api/commands?limit=100'),
        await ask('/api/commands?agent=sim-00042&state=succeeded&limit=100'),
        await ask('/api/metrics'),
      ])
    }
    const heads = ['commands', 'list page p99', "one agent's p99", '/api/metrics p99']
    return growthTable('Commands in the database', heads, rows)

    async function runBatch(ids: readonly string[]): Promise<number> {
      const offered = sims.acceptOffers()
      const { body } = await client.request<{ batch: { id: string } }>('POST', '/api/commands', {
        ...{ command: 'lines.print', input: { count: 1 } },
        targets: { agents: ids },
      })
      await offered
      await sims.succeed()
      await client.until(
        'a batch to end',
        async () => {
          const path = `/api/batches/${body.batch.id}`
          const answer = await client.request<{ counts: Record<string, number> }>('GET', path)
          return answer.body.counts.succeeded === ids.length
        },
        120_000,
      )
      return ids.length
    }
  } finally {
    await stage.dispose()
  }
}

import { openBareSockets } from '../load/bare-sockets.ts'
import { startEntry } from '../load/child.ts'
import type { Measure, Stage } from '../stage.ts'
import { milliseconds } from '../table.ts'

/** One command for the whole connected fleet: until it is accepted durably, and until the last agent has its offer. All accept and succeed. */
export const batch: Measure = {
  name: 'batch',
  async measure(stage) {
    const { client } = await stage.server()
    const sims = await stage.sims()
    await sims.connect(stage.agents)
    await allOnline(stage, stage.agents)
    const ids = await sims.enrol(stage.agents)
    const lastOffer = sims.acceptOffers()
    const began = performance.timeOrigin + performance.now()
    const answer = await client.request<{ batch: { id: string; total: number } }>('POST', '/api/commands', {
      command: 'lines.print',
      input: { count: 1 },
      targets: { agents: ids },
    })
    const accepted = performance.timeOrigin + performance.now() - began
    if (answer.status !== 202) throw new Error(`The batch was refused: ${JSON.stringify(answer.body)}`)
    const offered = (await lastOffer) - began
    await sims.succeed()
    const { id } = answer.body.batch
    await client.until(
      'all commands of the batch to end',
      async () => {
        const { body } = await client.request<{ counts: Record<string, number> }>('GET', `/api/batches/${id}`)
        return body.counts.succeeded === ids.length
      },
      120_000,
    )
    const ended = performance.timeOrigin + performance.now() - began
    const bare = await bareBatch(ids.length)
    return [
      {
        name: `one command to ${ids.length.toLocaleString('en-US')} online agents`,
        reached: `accepted ${milliseconds(accepted)}, offered ${milliseconds(offered)}, ended ${milliseconds(ended)}`,
        ratio: bare / offered,
        bar: 'offered to all ≤ 5 s',
        ok: offered <= 5000,
      },
    ]
  },
}

/** Waits until the server counts so many agents as online. */
export async function allOnline(stage: Stage, least: number): Promise<void> {
  const { client } = await stage.server()
  await client.until(
    `${least} agents to be online`,
    async () => {
      const { body } = await client.request<{ agentsOnline: number }>('GET', '/api/metrics')
      return body.agentsOnline >= least
    },
    60_000,
  )
}

/** So many rows stored in one transaction, and a text to so many bare sockets: until the last has it. */
async function bareBatch(count: number): Promise<number> {
  const ceiling = await startEntry('ceiling-fleet')
  const sockets = await openBareSockets(`http://127.0.0.1:${ceiling.port}/agent`, count, 100)
  try {
    const all = Promise.all(
      sockets.map((socket) => new Promise<void>((resolve) => socket.once('data', () => resolve()))),
    )
    const began = performance.now()
    await fetch(`http://127.0.0.1:${ceiling.port}/batch`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ count }),
    })
    await all
    return performance.now() - began
  } finally {
    for (const socket of sockets) socket.destroy()
    await ceiling.stop()
  }
}

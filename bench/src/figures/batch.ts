import type { WireAgent } from '@fleetupdate/core/testing'
import type { ServerFrame, ServerFrameOf } from '@fleetupdate/sdk/protocol'
import type { Measure, Stage } from '../stage.ts'
import { milliseconds } from '../table.ts'

const count = 10_000

/** One command for 10,000 connected agents: until it is accepted durably, and until the last of them has its offer. All accept and succeed. */
export const batch: Measure = {
  name: 'batch',
  runs: 'alone',
  async measure(stage) {
    const { client } = await stage.server()
    const sims = await stage.sims()
    await sims.connect(count)
    await allOnline(stage, count)
    const agents = sims.online
    const offers = collectOffers(agents)
    const began = performance.now()
    const answer = await client.request<{ batch: { id: string; total: number } }>('POST', '/api/commands', {
      command: 'lines.print',
      input: { count: 1 },
      targets: { agents: agents.map(({ identity }) => identity.agentId) },
    })
    const accepted = performance.now() - began
    if (answer.status !== 202) throw new Error(`The batch was refused: ${JSON.stringify(answer.body)}`)
    const offered = (await offers.all) - began
    offers.succeed()
    const { id } = answer.body.batch
    await client.until(
      'all commands of the batch to end',
      async () => {
        const { body } = await client.request<{ counts: Record<string, number> }>('GET', `/api/batches/${id}`)
        return body.counts.succeeded === agents.length
      },
      60_000,
    )
    const ended = performance.now() - began
    offers.stop()
    return [
      {
        name: 'one command to 10,000 online agents',
        reached: `accepted ${milliseconds(accepted)}, offered ${milliseconds(offered)}, ended ${milliseconds(ended)}`,
        bar: 'offered to all ≤ 5 s',
        ok: offered <= 5000,
      },
    ]
  },
}

/** Waits until the server counts so many agents as online. */
export async function allOnline(stage: Stage, least: number): Promise<void> {
  const { client } = await stage.server()
  await client.until(`${least} agents to be online`, async () => {
    const { body } = await client.request<{ agentsOnline: number }>('GET', '/api/metrics')
    return body.agentsOnline >= least
  })
}

/** Accepts the first offer of each agent at once, as a real agent does. */
function collectOffers(agents: readonly WireAgent[]): {
  /** When the last agent had its offer, by `performance.now()`. */
  readonly all: Promise<number>
  succeed(): void
  stop(): void
} {
  const offers = new Map<WireAgent, ServerFrameOf<'offer'>>()
  const startedAt = new Date().toISOString()
  let complete: (atMs: number) => void = () => undefined
  const all = new Promise<number>((resolve) => {
    complete = resolve
  })
  const listeners = agents.map((agent) => {
    const listen = (frame: ServerFrame): void => {
      if (frame.type !== 'offer' || offers.has(agent)) return
      offers.set(agent, frame)
      if (offers.size === agents.length) complete(performance.now())
      agent.send({ type: 'accept', commandId: frame.commandId, epoch: frame.epoch, startedAt })
    }
    agent.on('frame', listen)
    return { agent, listen }
  })
  return {
    all,
    succeed() {
      for (const [agent, { commandId, epoch }] of offers)
        agent.send({
          type: 'result',
          commandId,
          epoch,
          state: 'succeeded',
          exitCode: 0,
          output: { bytes: 0 },
          startedAt,
          finishedAt: new Date().toISOString(),
        })
    },
    stop() {
      for (const { agent, listen } of listeners) agent.off('frame', listen)
    },
  }
}

import { setTimeout as pause } from 'node:timers/promises'
import type { Server } from '../load/server.ts'
import type { Measure } from '../stage.ts'
import { mebibytes } from '../table.ts'
import { allOnline } from './batch.ts'

const count = 10_000
const restMs = 6_000

/**
 * What the server's memory grows by for each agent that is connected and idle: 10,000 enrolled agents of which none is connected, against all of
 * them. The server is started anew first, so that memory of earlier work is not mistaken for room.
 */
export const memory: Measure = {
  name: 'memory',
  runs: 'alone',
  async measure(stage) {
    const server = await stage.server()
    const sims = await stage.sims()
    await sims.enrol(count)
    sims.disconnect()
    await server.restart()
    const before = await restingMemory(server)
    await sims.connect(count)
    await allOnline(stage, count)
    const after = await restingMemory(server)
    const perAgent = (after - before) / count / 1024
    return [
      {
        name: 'server memory per idle connected agent',
        reached: `${perAgent.toFixed(1)} KiB`,
        bar: '≤ 16 KiB',
        ok: perAgent <= 16,
      },
      {
        name: 'server memory with 10,000 agents',
        reached: mebibytes(after),
        bar: '≤ 300 MB',
        ok: after <= 300_000_000,
      },
    ]
  },
}

/** The least of some seconds: what the collector has not taken yet is no memory of an agent. */
async function restingMemory({ process }: Server): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  const until = performance.now() + restMs
  while (performance.now() < until) {
    await pause(500)
    least = Math.min(least, process.memory())
  }
  return least
}

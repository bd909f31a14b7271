import { setTimeout as pause } from 'node:timers/promises'
import type { Child } from '../load/child.ts'
import type { Measure } from '../stage.ts'
import { mebibytes } from '../table.ts'
import { allOnline } from './batch.ts'

const few = 1000
const many = 10_000
const restMs = 6_000

/** What the server's memory grows by for each agent that is connected and idle: 1,000 against 10,000, all enrolled before. */
export const memory: Measure = {
  name: 'memory',
  runs: 'alone',
  async measure(stage) {
    const { process: server } = await stage.server()
    const sims = await stage.sims()
    await sims.enrol(many)
    await sims.connect(few)
    await allOnline(stage, few)
    const before = await restingMemory(server)
    await sims.connect(many)
    await allOnline(stage, many)
    const after = await restingMemory(server)
    const perAgent = (after - before) / (many - few) / 1024
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
async function restingMemory(server: Child): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  const until = performance.now() + restMs
  while (performance.now() < until) {
    await pause(500)
    least = Math.min(least, server.memory())
  }
  return least
}

import { setTimeout as pause } from 'node:timers/promises'
import { openBareSockets } from '../load/bare-sockets.ts'
import { type Child, startEntry } from '../load/child.ts'
import type { Measure } from '../stage.ts'
import { mebibytes } from '../table.ts'
import { allOnline } from './batch.ts'

const restMs = 5_000

/**
 * What the server's memory grows by for each agent that is connected and idle: an enrolled fleet of which none is connected, against all of
 * it. The server is started anew first, so that memory of earlier work is not mistaken for room.
 */
export const memory: Measure = {
  name: 'memory',
  async measure(stage) {
    const { agents } = stage
    const server = await stage.server()
    const sims = await stage.sims()
    await sims.enrol(agents)
    await sims.disconnect()
    await server.restart()
    const before = await restingMemory(server.process)
    await sims.connect(agents)
    await allOnline(stage, agents)
    const after = await restingMemory(server.process)
    const perAgent = (after - before) / agents / 1024
    const bare = await bareMemory(agents)
    return [
      {
        name: 'server memory per idle connected agent',
        reached: `${perAgent.toFixed(1)} KiB (bare ws ${bare.toFixed(1)})`,
        ratio: bare / perAgent,
        bar: '≤ 16 KiB',
        ok: perAgent <= 16,
      },
      {
        name: `server memory with ${agents.toLocaleString('en-US')} agents`,
        reached: mebibytes(after),
        bar: '≤ 300 MB',
        ok: after <= 300_000_000,
      },
    ]
  },
}

/** KiB that a bare ws server takes for a connection. */
async function bareMemory(count: number): Promise<number> {
  const ceiling = await startEntry('ceiling-ws')
  try {
    const before = await restingMemory(ceiling)
    const sockets = await openBareSockets(`http://127.0.0.1:${ceiling.port}/`, count, 100)
    const after = await restingMemory(ceiling)
    for (const socket of sockets) socket.destroy()
    return (after - before) / count / 1024
  } finally {
    await ceiling.stop()
  }
}

/** The least of some seconds: what the collector has not taken yet is no memory of an agent. */
async function restingMemory(process: Child): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  const until = performance.now() + restMs
  while (performance.now() < until) {
    await pause(250)
    least = Math.min(least, process.memory())
  }
  return least
}

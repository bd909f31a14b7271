import { openBareSockets } from '../load/bare-sockets.ts'
import { startEntry } from '../load/child.ts'
import type { Measure } from '../stage.ts'
import { milliseconds } from '../table.ts'
import { allOnline } from './batch.ts'

const count = 1000

/** 1,000 agents that connect in the same moment: until the server counts every one of them as online. */
export const burst: Measure = {
  name: 'burst',
  async measure(stage) {
    const sims = await stage.sims()
    await sims.enrol(count)
    await sims.disconnect()
    const began = performance.now()
    await Promise.all([sims.connect(count, count), allOnline(stage, count)])
    const elapsed = performance.now() - began
    const bare = await bareBurst()
    return [
      {
        name: '1,000 connections opened at once',
        reached: `all online after ${milliseconds(elapsed)}`,
        ratio: bare / elapsed,
        bar: '≤ 5 s',
        ok: elapsed <= 5000,
      },
    ]
  },
}

async function bareBurst(): Promise<number> {
  const ceiling = await startEntry('ceiling-ws')
  try {
    const began = performance.now()
    const sockets = await openBareSockets(`http://127.0.0.1:${ceiling.port}/`, count, count)
    const elapsed = performance.now() - began
    for (const socket of sockets) socket.destroy()
    return elapsed
  } finally {
    await ceiling.stop()
  }
}

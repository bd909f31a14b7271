import type { SimFleet } from '../load/sim-fleet.ts'
import type { Measure } from '../stage.ts'
import { milliseconds } from '../table.ts'
import { allOnline } from './batch.ts'

const count = 1000

/** 1,000 agents that connect in the same moment: until the server counts every one of them as online. */
export const burst: Measure = {
  name: 'burst',
  runs: 'alone',
  async measure(stage) {
    const sims: SimFleet = await stage.sims()
    if (sims.online.length > 0) throw new Error('The simulated agents are connected already.')
    await sims.enrol(count)
    const began = performance.now()
    await Promise.all([sims.connect(count, count), allOnline(stage, count)])
    const elapsed = performance.now() - began
    return [
      {
        name: '1,000 connections opened at once',
        reached: `all online after ${milliseconds(elapsed)}`,
        bar: '≤ 5 s',
        ok: elapsed <= 5000,
      },
    ]
  },
}

import { join } from 'node:path'
import { startEntry } from '../load/child.ts'
import { startServerProcess } from '../load/server.ts'
import { median } from '../rounds.ts'
import type { Measure } from '../stage.ts'
import { milliseconds } from '../table.ts'

const rounds = 3

/** From the start of the server's process until it says that it is ready: on an empty folder, and on one that it knows. */
export const start: Measure = {
  name: 'start',
  async measure(stage) {
    const dir = join(stage.dir, 'start')
    const own = (): Promise<number> =>
      startOnce(() => startServerProcess({ dataDir: dir, pluginDirs: [], port: 0 }))
    const bare = (): Promise<number> =>
      startOnce(() => startEntry('ceiling-start', { CEILING_DATABASE: join(stage.dir, 'ceiling-start.db') }))
    const first = await own()
    const times: number[] = []
    const ratios: number[] = []
    for (let round = 0; round < rounds; round++) {
      const took = await own()
      times.push(took)
      ratios.push((await bare()) / took)
    }
    const again = median(times)
    return [
      {
        name: 'server start to ready',
        reached: `${milliseconds(again)} (first ${milliseconds(first)})`,
        ratio: median(ratios),
        bar: '≤ 1 s',
        ok: again <= 1000,
      },
    ]
  },
}

async function startOnce(start: () => Promise<{ stop(): Promise<void> }>): Promise<number> {
  const began = performance.now()
  const started = await start()
  const readyMs = performance.now() - began
  await started.stop()
  return readyMs
}

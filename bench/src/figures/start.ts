import { join } from 'node:path'
import { startServerProcess } from '../load/server.ts'
import { median } from '../rounds.ts'
import type { Measure } from '../stage.ts'
import { milliseconds } from '../table.ts'

/** From the start of the server's process until it says that it is ready: on an empty folder, and on one that it knows. */
export const start: Measure = {
  name: 'start',
  runs: 'alone',
  async measure(stage) {
    const dir = join(stage.dir, 'start')
    const startOnce = async (): Promise<number> => {
      const began = performance.now()
      const server = await startServerProcess({ dataDir: dir, pluginDirs: [], port: 0 })
      const readyMs = performance.now() - began
      await server.stop()
      return readyMs
    }
    const first = await startOnce()
    const again = median([await startOnce(), await startOnce(), await startOnce()])
    return [
      {
        name: 'server start to ready',
        reached: `${milliseconds(again)} (first ${milliseconds(first)})`,
        bar: '≤ 1 s',
        ok: again <= 1000,
      },
    ]
  },
}

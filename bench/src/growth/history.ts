import { statSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { askRepeatedly } from '../latency.ts'
import { createStage } from '../stage.ts'
import { mebibytes, milliseconds, percentile } from '../table.ts'
import { count, growthTable } from './table.ts'

const sizes = [10, 100, 1000]
const minuteMs = 60_000
/** Minutes a row, and rows that are kept of an agent: a day, a week, 90 days. A year more adds nothing. */
const tiers = { samples: [1, 1440], rollup_10m: [10, 1008], rollup_1h: [60, 2160] } as const
const metrics = ['cpu', 'load', 'memory', 'swap', 'disk', 'rx', 'tx']
const ranges = { day: 1440, week: 10_080, 'ninety days': 129_600 } as const

/** Agents that have reported for a year, with everything that is kept of it: the size of the file, and one chart over a day, a week and 90 days. */
export async function growthOfHistory(): Promise<string> {
  const stage = createStage(0)
  try {
    const server = await stage.server()
    const sims = await stage.sims()
    const file = join(stage.dir, 'server/plugins-data/metrics.db')
    const rows: string[][] = []
    for (const size of sizes) {
      await sims.connect(size)
      await sims.tell(size)
      await sims.disconnect()
      await server.process.stop()
      fill(file)
      await server.restart()
      const cells = await Promise.all(
        Object.values(ranges).map(async (minutes) => {
          const from = Date.now() - minutes * minuteMs
          const path = `/api/plugins/metrics/agents/sim-00003/series?metric=cpu&from=${from}&to=${Date.now()}`
          return askRepeatedly(server.url, 50, { path, token: server.client.token })
        }),
      )
      rows.push([
        count(size),
        mebibytes(statSync(file).size),
        ...cells.map((times) => milliseconds(percentile(times, 0.99))),
      ])
    }
    const heads = ['agents', 'file', ...Object.keys(ranges).map((range) => `chart of a ${range}, p99`)]
    return growthTable('History of a year, as much of it as is kept', heads, rows)
  } finally {
    await stage.dispose()
  }
}

/** Writes what a year would have left, straight into the stopped server's file. */
function fill(file: string): void {
  const db = new Database(file)
  const now = Math.floor(Date.now() / minuteMs)
  const agents = db.prepare('select no from series_agents').all() as { no: number }[]
  db.transaction(() => {
    for (const [table, [step, kept]] of Object.entries(tiers)) {
      const columns =
        table === 'samples' ? metrics : ['n', ...metrics.flatMap((m) => [`${m}_avg`, `${m}_min`, `${m}_max`])]
      const places = columns.map(() => '?').join(', ')
      const insert = db.prepare(
        `insert or ignore into ${table} (no, minute, ${columns.join(', ')}) values (?, ?, ${places})`,
      )
      const last = Math.floor(now / step) * step - step
      for (const { no } of agents)
        for (let i = 0; i < kept; i++)
          insert.run(no, last - i * step, ...columns.map((_, column) => (i * 7 + column * 13) % 1000))
    }
  })()
  db.close()
}

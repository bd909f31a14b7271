import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { askRepeatedly } from '../latency.ts'
import { createStage } from '../stage.ts'
import { mebibytes, milliseconds, percentile } from '../table.ts'
import { count, growthTable } from './table.ts'

const sizes = [100, 1000, 10_000, 30_000]
const query = 'filter=os-updates.outdated&sort=-os-updates.pending&limit=100'
const idleMs = 10_000
/** What a server opens besides the connections of agents. */
const otherFiles = 1000

/** Connected agents with facts: memory, CPU while all of them only send heartbeats, a page of the list, `GET /api/metrics`. */
export async function growthOfAgents(): Promise<string> {
  const stage = createStage(0)
  try {
    const server = await stage.server()
    const sims = await stage.sims()
    const rows: string[][] = []
    for (const size of sizes) {
      const connected = Math.min(size, mostConnected())
      await sims.connect(connected)
      await sims.tell(size)
      if (size > connected) await sims.poll(size - connected)
      const before = server.process.cpuMs()
      await pause(idleMs)
      const cpu = ((server.process.cpuMs() - before) / idleMs) * 100
      await sims.pollsWentWell()
      const { token } = server.client
      const list = await askRepeatedly(server.url, 100, { path: `/api/agents?${query}`, token })
      const metrics = await askRepeatedly(server.url, 100, { path: '/api/metrics', token })
      rows.push([
        size > connected ? `${count(size)} (${count(connected)} connected, the others poll)` : count(size),
        mebibytes(server.process.memory()),
        `${cpu.toFixed(1)} %`,
        `${milliseconds(percentile(list, 0.5))}, ${milliseconds(percentile(list, 0.99))}`,
        milliseconds(percentile(metrics, 0.99)),
      ])
    }
    const heads = [
      'agents',
      'server memory',
      'CPU, heartbeats alone',
      'list page p50, p99',
      '/api/metrics p99',
    ]
    return growthTable('Agents, connected, with facts', heads, rows)
  } finally {
    await stage.dispose()
  }
}

/** So many connections one process may hold here, and one address have to another: what is beyond polls. */
function mostConnected(): number {
  const files = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  const [low, high] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/)
  return Math.min(Number(files), Number(high) - Number(low)) - otherFiles
}

import type { metrics } from '@fleetupdate/plugin-metrics/contract'
import type { FactValue } from '@fleetupdate/sdk'
import type { FactContext } from '@fleetupdate/sdk/executor'
import { readDisks } from './disks.ts'
import {
  type CpuTimes,
  parseLoad,
  parseMeminfo,
  parseNetDev,
  parseStat,
  parseUptime,
  type Traffic,
} from './proc.ts'

export type Sample = FactValue<typeof metrics, 'sample'>

interface Round {
  readonly atMs: number
  readonly cpu: CpuTimes
  readonly network: ReadonlyMap<string, Traffic>
}

/**
 * Makes the collector of `sample`. It remembers the last round: CPU and network are what happened since then, and null in
 * the first. `now` counts milliseconds and never jumps.
 */
export function createSampler(
  now: () => number = () => performance.now(),
): (context: FactContext) => Promise<Sample> {
  let last: Round | undefined
  return async (context) => {
    const read = async <T>(path: string, parse: (text: string) => T | undefined): Promise<T> => {
      const parsed = parse((await context.readFile(path)) ?? '')
      if (parsed === undefined) throw new Error(`${path} cannot be read or has an unknown form`)
      return parsed
    }
    const { memory, swap } = await read('/proc/meminfo', parseMeminfo)
    const load = await read('/proc/loadavg', parseLoad)
    const uptime = await read('/proc/uptime', parseUptime)
    const disks = await readDisks((await context.readFile('/proc/self/mountinfo')) ?? '', context.root)
    const round: Round = {
      cpu: await read('/proc/stat', parseStat),
      network: await read('/proc/net/dev', parseNetDev),
      atMs: now(),
    }
    const network = last ? rates(last, round) : { rx: null, tx: null }
    const cpu = last ? cpuPercent(last.cpu, round.cpu) : null
    last = round
    return { cpu, cores: round.cpu.cores, load, memory, swap, disks, network, uptime }
  }
}

/** Percent with one decimal; null where no tick passed, or the counters went back. */
export function cpuPercent(before: CpuTimes, after: CpuTimes): number | null {
  const total = after.total - before.total
  const busy = after.busy - before.busy
  if (total <= 0 || busy < 0) return null
  return Math.round(Math.min(busy / total, 1) * 1000) / 10
}

/** Bytes per second over the interfaces that both rounds saw; one whose counter went back (it was reset) counts as silent. */
function rates(before: Round, after: Round): Sample['network'] {
  const seconds = (after.atMs - before.atMs) / 1000
  if (seconds <= 0) return { rx: null, tx: null }
  let rx = 0
  let tx = 0
  for (const [name, now] of after.network) {
    const then = before.network.get(name)
    if (!then) continue
    rx += Math.max(now.rx - then.rx, 0)
    tx += Math.max(now.tx - then.tx, 0)
  }
  return { rx: Math.round(rx / seconds), tx: Math.round(tx / seconds) }
}

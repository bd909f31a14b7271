/** Processor time since boot, in ticks, of all cores together. */
export interface CpuTimes {
  readonly busy: number
  readonly total: number
  readonly cores: number
}

/** The first line and the cores of /proc/stat; undefined where the text is not that. Time of guests is already in `user`. */
export function parseStat(text: string): CpuTimes | undefined {
  const all = /^cpu +([\d ]+)$/m.exec(text)?.[1]
  if (all === undefined) return undefined
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = all
    .trim()
    .split(/ +/)
    .map(Number)
  const busy = user + nice + system + irq + softirq + steal
  return { busy, total: busy + idle + iowait, cores: Math.max(text.match(/^cpu\d+ /gm)?.length ?? 0, 1) }
}

export interface Memory {
  readonly memory: { readonly total: number; readonly used: number; readonly available: number }
  readonly swap: { readonly total: number; readonly used: number }
}

/** /proc/meminfo in bytes; undefined without a total. Kernels before 3.14 have no MemAvailable: free and caches stand for it. */
export function parseMeminfo(text: string): Memory | undefined {
  const values = new Map<string, number>()
  for (const [, name = '', kib] of text.matchAll(/^([\w()]+): +(\d+) kB$/gm))
    values.set(name, Number(kib) * 1024)
  const read = (name: string): number => values.get(name) ?? 0
  const total = read('MemTotal')
  if (total === 0) return undefined
  const available = values.get('MemAvailable') ?? read('MemFree') + read('Buffers') + read('Cached')
  const swap = read('SwapTotal')
  return {
    memory: { total, used: Math.max(total - available, 0), available: Math.min(available, total) },
    swap: { total: swap, used: Math.max(swap - read('SwapFree'), 0) },
  }
}

/** The three averages of /proc/loadavg. */
export function parseLoad(text: string): [number, number, number] | undefined {
  const match = /^([\d.]+) ([\d.]+) ([\d.]+) /.exec(text)
  return match ? [Number(match[1]), Number(match[2]), Number(match[3])] : undefined
}

/** Whole seconds since boot, from /proc/uptime. */
export function parseUptime(text: string): number | undefined {
  const match = /^(\d+)/.exec(text)
  return match ? Number(match[1]) : undefined
}

/** Bytes since boot of one interface. */
export interface Traffic {
  readonly rx: number
  readonly tx: number
}

const virtual =
  /^(lo|ifb|dummy|veth|docker|br-|virbr|vnet|tap|cni|flannel|cali|lxc|lxd|bond|team|tun|wg|tailscale|zt|vxlan|gre|sit)/

/** /proc/net/dev by interface, without those whose traffic another one carries: bridges, bonds, VLANs, ends of containers. */
export function parseNetDev(text: string): ReadonlyMap<string, Traffic> {
  const interfaces = new Map<string, Traffic>()
  for (const line of text.split('\n')) {
    const colon = line.lastIndexOf(':')
    const name = line.slice(0, Math.max(colon, 0)).trim()
    if (name === '' || virtual.test(name) || name.includes('.')) continue
    const columns = line
      .slice(colon + 1)
      .trim()
      .split(/ +/)
      .map(Number)
    const [rx, , , , , , , , tx] = columns
    if (rx !== undefined && tx !== undefined) interfaces.set(name, { rx, tx })
  }
  return interfaces
}

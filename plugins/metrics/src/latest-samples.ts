import { fullest, percent } from './contract.ts'
import type { Sample } from './series-metrics.ts'

export interface LatestValues {
  readonly agentId: string
  readonly cpu: number | null
  readonly memory: number | null
  readonly disk: number | null
}

/** The newest values of each agent, in memory; gone five minutes after the last one. */
export interface LatestSamples {
  set(agentId: string, sample: Sample): void
  delete(agentId: string): void
  /** At most `most`, in order of the ids, and how many more there are. */
  list(most: number): { readonly items: readonly LatestValues[]; readonly omitted: number }
}

const staleMs = 5 * 60_000

export function createLatestSamples(now: () => number = Date.now): LatestSamples {
  const latest = new Map<string, LatestValues & { readonly atMs: number }>()
  return {
    set(agentId, { cpu, memory, disks }) {
      latest.set(agentId, {
        agentId,
        cpu,
        memory: percent(memory.total - memory.available, memory.total),
        disk: fullest(disks),
        atMs: now(),
      })
    },
    delete: (agentId) => latest.delete(agentId),
    list(most) {
      for (const [agentId, { atMs }] of latest) if (now() - atMs > staleMs) latest.delete(agentId)
      const ids = [...latest.keys()].sort()
      const items = ids.slice(0, most).flatMap((id) => latest.get(id) ?? [])
      return { items, omitted: ids.length - items.length }
    },
  }
}

import type { AgentView } from '@fleetupdate/sdk'

export interface Pending {
  readonly name: string
  readonly current: string
  readonly candidate: string
  readonly origin: string
  readonly security: boolean
  readonly held: boolean
  readonly phased: boolean
}

export interface Updates {
  readonly refreshedAt: string | null
  readonly pending: readonly Pending[]
  readonly omitted: number
  readonly problem: string | undefined
}

/** What an agent said about its updates, read with care; undefined where it said nothing usable. */
export function updatesOf(agent: AgentView): Updates | undefined {
  const fact = agent.facts['os-updates']?.updates
  if (!isRecord(fact) || !Array.isArray(fact.pending)) return undefined
  return {
    refreshedAt: typeof fact.refreshedAt === 'string' ? fact.refreshedAt : null,
    omitted: typeof fact.omitted === 'number' ? fact.omitted : 0,
    problem: typeof fact.problem === 'string' ? fact.problem : undefined,
    pending: fact.pending.filter(isRecord).map((item) => ({
      name: String(item.name),
      current: String(item.current),
      candidate: String(item.candidate),
      origin: String(item.origin ?? ''),
      security: item.security === true,
      held: item.held === true,
      phased: item.phased === true,
    })),
  }
}

export function systemOf(agent: AgentView): Readonly<Record<string, unknown>> | undefined {
  const fact = agent.facts['os-updates']?.system
  return isRecord(fact) ? fact : undefined
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

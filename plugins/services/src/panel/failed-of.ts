import type { AgentView } from '@fleetupdate/sdk'

export interface ShownUnit {
  readonly unit: string
  readonly description: string
}

/** The failed units an agent reported, read with care; undefined where it said nothing usable. */
export function failedOf(agent: AgentView): readonly ShownUnit[] | undefined {
  const fact = agent.facts.services?.failed
  if (!Array.isArray(fact)) return undefined
  return fact
    .filter((item: unknown) => typeof item === 'object' && item !== null)
    .map((item) => ({ unit: String(item.unit), description: String(item.description ?? '') }))
}

import type { AgentView } from '@fleetupdate/sdk'

export interface ShownUnit {
  readonly unit: string
  readonly description: string
}

/** The failed units an agent reported, read with care; undefined where it said nothing usable. */
export function failedOf(agent: AgentView): readonly ShownUnit[] | undefined {
  const fact = agent.facts.services?.failed
  if (!Array.isArray(fact)) return undefined
  return fact.filter(isUnit).map(({ unit, description }) => ({
    unit,
    description: typeof description === 'string' ? description : '',
  }))
}

function isUnit(item: unknown): item is { readonly unit: string; readonly description?: unknown } {
  return typeof item === 'object' && item !== null && 'unit' in item && typeof item.unit === 'string'
}

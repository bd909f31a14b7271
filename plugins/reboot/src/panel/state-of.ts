import type { AgentView } from '@fleetupdate/sdk'

export interface ShownState {
  readonly required: boolean
  readonly reasons: readonly string[]
  readonly runningKernel: string
  readonly installedKernel: string | null
  readonly bootedAt: string | null
  readonly scheduledAt: string | null
}

/** What an agent said about reboots, read with care; undefined where it said nothing usable. */
export function stateOf(agent: AgentView): ShownState | undefined {
  const fact = agent.facts.reboot?.state
  if (typeof fact !== 'object' || fact === null) return undefined
  const value = new Map<string, unknown>(Object.entries(fact))
  const reasons = value.get('reasons')
  return {
    required: value.get('required') === true,
    reasons: Array.isArray(reasons) ? reasons.map(String) : [],
    runningKernel: textOf(value.get('runningKernel')) ?? '–',
    installedKernel: textOf(value.get('installedKernel')),
    bootedAt: textOf(value.get('bootedAt')),
    scheduledAt: textOf(value.get('scheduledAt')),
  }
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

import type { PluginContext } from '@fleetupdate/sdk'
import { everyAgent } from './every-agent.ts'

/** Which versions of the agent the fleet runs, and what could be done about it. */
export interface FleetVersions {
  readonly total: number
  /** Most agents first; `version` null: not told yet. */
  readonly versions: readonly { readonly version: string | null; readonly agents: number }[]
  /** What the server hands out, as the agents found it; null where it hands out none. */
  readonly offered: string | null
  /** Agents a rollout would take. */
  readonly behind: number
  /** Agents that cannot update themselves, such as those from a checkout. */
  readonly cannot: number
}

/** Counts the fleet where something changed since the last count; whoever asks meanwhile shares one. */
export function createFleetVersions({
  agents,
  events,
}: Pick<PluginContext, 'agents' | 'events'>): () => Promise<FleetVersions> {
  let known: Promise<FleetVersions> | undefined
  const forget = (): void => {
    known = undefined
  }
  for (const event of ['agent.enrolled', 'agent.connected', 'agent.removed', 'agent.updated'] as const)
    events.on(event, forget)
  events.on('facts.updated', ({ plugin }) => {
    if (plugin === 'agent-update') forget()
  })
  return () => {
    known ??= count(agents)
    known.catch(forget)
    return known
  }
}

async function count(agents: PluginContext['agents']): Promise<FleetVersions> {
  const versions = new Map<string | null, number>()
  const offers = new Map<string, number>()
  let [total, behind, cannot] = [0, 0, 0]
  for await (const { agentVersion, facets } of everyAgent(agents)) {
    total += 1
    versions.set(agentVersion, (versions.get(agentVersion) ?? 0) + 1)
    const offered = facets['agent-update.offered']
    if (typeof offered === 'string') offers.set(offered, (offers.get(offered) ?? 0) + 1)
    if (facets['agent-update.behind'] === true) behind += 1
    if (facets['agent-update.updatable'] !== true) cannot += 1
  }
  const [offered = null] = [...offers].sort(([, a], [, b]) => b - a).map(([version]) => version)
  return {
    ...{ total, offered, behind, cannot },
    versions: [...versions]
      .map(([version, agents]) => ({ version, agents }))
      .sort((a, b) => b.agents - a.agents),
  }
}

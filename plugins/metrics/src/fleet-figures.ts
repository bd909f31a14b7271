import type { PluginContext } from '@fleetupdate/sdk'

/** The figures of the whole fleet, at most a second old, and never older than the last change of an agent's presence. */
export interface FleetFigures {
  read(): Promise<Figures>
}

export interface Figures {
  readonly agentsTotal: number
  readonly agentsOnline: number
  readonly uptimeSeconds: number
  readonly commandSuccessRateLast100: number | null
  /** By facet: how many agents it holds for. */
  readonly counts: Readonly<Record<string, number>>
}

type Needed = Pick<PluginContext, 'agents' | 'commands' | 'events' | 'server'>

const freshMs = 1000

/** Counting is shared by all who ask within a second, so that asking costs the same however large the fleet is. */
export function createFleetFigures(context: Needed, now: () => number = Date.now): FleetFigures {
  let counted: { readonly atMs: number; readonly counts: Promise<Figures['counts']> } | undefined
  const forget = (): void => {
    counted = undefined
  }
  for (const event of ['agent.enrolled', 'agent.connected', 'agent.disconnected', 'agent.removed'] as const)
    context.events.on(event, forget)

  const count = (): Promise<Figures['counts']> => {
    if (counted && now() - counted.atMs < freshMs) return counted.counts
    const counts = context.agents.list({ limit: 1 }).then((page) => page.counts)
    counted = { atMs: now(), counts }
    counts.catch(forget)
    return counts
  }

  return {
    async read() {
      const counts = await count()
      const agentsTotal = counts.all ?? 0
      return {
        agentsTotal,
        agentsOnline: counts.online ?? agentsTotal - (counts.offline ?? 0),
        uptimeSeconds: Math.max(Math.floor((now() - Date.parse(context.server.startedAt)) / 1000), 0),
        commandSuccessRateLast100: context.commands.successRate(100),
        counts,
      }
    },
  }
}

import type { PluginContext } from '@fleetupdate/sdk'
import { endOfStage } from './agent-step.ts'
import type { Rollout, RolloutAgent, RolloutStore, StageCount } from './rollout-store.ts'

/** A rollout as a list shows it. */
export interface RolloutSummary extends Omit<Rollout, 'stages'> {
  readonly stages: readonly StageCount[]
}

export interface FailedAgent {
  readonly agentId: string
  readonly commandId: string | null
  readonly failure: string
  readonly problem: string
}

export interface BusyAgent {
  readonly agentId: string
  readonly commandId: string
  readonly online: boolean
  /** State of its command; `succeeded`: it has not checked in with the new version yet. */
  readonly state: string
  readonly percent?: number
  readonly message?: string
}

/** A rollout as its page shows it: who fails and who is at it are named, the rest is counted. */
export interface RolloutProgress extends RolloutSummary {
  /** Until when an agent of the current stage may take. */
  readonly stageEndsAt: string
  readonly failed: readonly FailedAgent[]
  readonly busy: readonly BusyAgent[]
}

/** So many agents of a kind are named. */
const named = 50

export async function summaries(store: RolloutStore, limit: number): Promise<readonly RolloutSummary[]> {
  const rollouts = await store.newest(limit)
  const counts = await store.counts(rollouts.map(({ id }) => id))
  return rollouts.map((rollout) => ({ ...rollout, stages: counts.get(rollout.id) ?? [] }))
}

export async function progressOf(
  rollout: Rollout,
  store: RolloutStore,
  services: Pick<PluginContext, 'agents' | 'commands'>,
): Promise<RolloutProgress> {
  const [counts, failed, asked] = await Promise.all([
    store.counts([rollout.id]),
    store.failed(rollout.id, named),
    store.asked(rollout.id, rollout.stage, named),
  ])
  return {
    ...rollout,
    stages: counts.get(rollout.id) ?? [],
    stageEndsAt: endOfStage(rollout),
    failed: failed.map(({ agentId, commandId, failure, problem }) => ({
      ...{ agentId, commandId, failure: failure ?? '', problem: problem ?? '' },
    })),
    busy: await Promise.all(asked.map((agent) => busyAgent(agent, services))),
  }
}

async function busyAgent(
  { agentId, commandId }: Pick<RolloutAgent, 'agentId' | 'commandId'>,
  { agents, commands }: Pick<PluginContext, 'agents' | 'commands'>,
): Promise<BusyAgent> {
  const id = commandId ?? ''
  const [view, command] = await Promise.all([agents.get(agentId), commands.read(id)])
  const { percent, message } = command?.progress ?? {}
  return {
    ...{ agentId, commandId: id, online: view?.status === 'online', state: command?.state ?? 'unknown' },
    ...(percent === undefined ? {} : { percent }),
    ...(message === undefined ? {} : { message }),
  }
}

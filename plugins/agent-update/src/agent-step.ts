import type { PluginContext } from '@fleetupdate/sdk'
import type { agentUpdate } from './contract.ts'
import type { Rollout, RolloutAgent } from './rollout-store.ts'

/** Where one agent of a rollout stands. */
export type AgentStep =
  | { readonly is: 'waiting' }
  | { readonly is: 'done' }
  /** `failure` is the state its command ended in, or `late`; `problem` the sentence that says why. */
  | { readonly is: 'failed'; readonly failure: string; readonly problem: string }

export type AgentServices = Pick<PluginContext<typeof agentUpdate>, 'agents' | 'commands'>

const ended: ReadonlySet<string> = new Set([
  ...['failed', 'cancelled', 'timed_out', 'interrupted', 'expired', 'rejected', 'lost'],
])

/** Until when an agent of the current stage may take. */
export function endOfStage({ stageStartedAt, stageMinutes }: Rollout): string {
  return new Date(Date.parse(stageStartedAt) + stageMinutes * 60_000).toISOString()
}

/** Asks an agent, once a try. The same key for the same try: a crash before the id is kept makes no second command. */
export async function ask(
  rollout: Rollout,
  { agentId, tries }: RolloutAgent,
  { commands }: AgentServices,
): Promise<string> {
  const options = {
    idempotencyKey: `rollout-${rollout.id}-${agentId}-${tries}`,
    expiresAt: endOfStage(rollout),
  }
  const { id } =
    rollout.kind === 'back'
      ? await commands.submit(agentId, 'back', { from: rollout.version }, options)
      : await commands.submit(agentId, 'install', { version: rollout.version }, options)
  return id
}

/** Looks at an agent that was asked. It is done only where it checked in again with the version it should have. */
export async function look(
  rollout: Rollout,
  { agentId }: RolloutAgent,
  commandId: string,
  { agents, commands }: AgentServices,
): Promise<AgentStep> {
  const command = await commands.read(commandId)
  if (command && ended.has(command.state))
    return { is: 'failed', failure: command.state, problem: command.reason ?? command.state }
  if (command?.state === 'succeeded') {
    const view = await agents.get(agentId)
    const arrived =
      rollout.kind === 'back'
        ? view?.agentVersion !== rollout.version
        : view?.agentVersion === rollout.version
    if (view?.status === 'online' && arrived) return { is: 'done' }
  }
  if (Date.now() <= Date.parse(endOfStage(rollout))) return { is: 'waiting' }
  const wanted = rollout.kind === 'back' ? `without ${rollout.version}` : `with ${rollout.version}`
  return { is: 'failed', failure: 'late', problem: `did not come back ${wanted} in time` }
}

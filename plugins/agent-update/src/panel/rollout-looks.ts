import type { Tone } from '@fleetupdate/sdk/panel'
import type { FailedAgent } from '../progress.ts'
import type { RolloutState } from '../tables.ts'

/** How each state of a rollout looks. */
export const stateLooks: Readonly<Record<RolloutState, { readonly tone: Tone; readonly icon: string }>> = {
  running: { tone: 'info', icon: 'loader-circle' },
  halted: { tone: 'danger', icon: 'pause' },
  done: { tone: 'ok', icon: 'circle-check' },
  stopped: { tone: 'neutral', icon: 'square' },
}

export type FailureWord = 'wentBack' | 'refused' | 'late' | 'expired' | 'rejected' | 'cancelled' | 'failed'

/** What happened to an agent, as a key of the messages `failure.…`; what exactly stands in its own sentence. */
export function failureWord({ failure, problem }: Pick<FailedAgent, 'failure' | 'problem'>): FailureWord {
  if (failure === 'late' || failure === 'expired' || failure === 'rejected' || failure === 'cancelled')
    return failure
  if (problem.startsWith('Back to ')) return 'wentBack'
  return problem.startsWith('The release was refused') ? 'refused' : 'failed'
}

import type { CommandState } from '@fleetupdate/sdk'
import type { Tone } from '@fleetupdate/sdk/panel'

/** How each state looks. */
export const stateLooks: Readonly<Record<CommandState, { readonly tone: Tone; readonly icon: string }>> = {
  queued: { tone: 'neutral', icon: 'hourglass' },
  offered: { tone: 'neutral', icon: 'hourglass' },
  started: { tone: 'info', icon: 'loader-circle' },
  running: { tone: 'info', icon: 'loader-circle' },
  succeeded: { tone: 'ok', icon: 'circle-check' },
  failed: { tone: 'danger', icon: 'circle-x' },
  cancelled: { tone: 'neutral', icon: 'circle-slash' },
  timed_out: { tone: 'danger', icon: 'timer-off' },
  interrupted: { tone: 'danger', icon: 'plug-zap' },
  expired: { tone: 'warning', icon: 'timer-off' },
  rejected: { tone: 'danger', icon: 'ban' },
  unknown: { tone: 'unknown', icon: 'circle-help' },
  lost: { tone: 'unknown', icon: 'unplug' },
}

export const commandStates = Object.keys(stateLooks)

/** What may still change, or needs somebody to look. */
const explained = ['unknown', 'lost', 'interrupted', 'expired', 'timed_out', 'rejected'] as const
export type ExplainedState = (typeof explained)[number]

export function isState(state: string): state is CommandState {
  return state in stateLooks
}

export function isOpen(state: string): boolean {
  return ['queued', 'offered', 'started', 'running', 'unknown'].includes(state)
}

export function isExplained(state: string): state is ExplainedState {
  return explained.some((name) => name === state)
}

/** Ended without success, so that trying again makes sense. */
export function isFailure(state: string): boolean {
  return !isOpen(state) && state !== 'succeeded'
}

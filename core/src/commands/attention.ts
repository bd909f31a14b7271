import type { CommandView } from '@fleetupdate/sdk'

type Attention = NonNullable<CommandView['attention']>

/** States that somebody should look at: what may be true of the machine now, and what to do next. Undefined for all others. */
export function attentionFor(state: CommandView['state']): Attention | undefined {
  return table[state]
}

const table: Readonly<Partial<Record<CommandView['state'], Attention>>> = {
  unknown: {
    next: 'wait',
    mayStillRun: true,
    advice:
      'Bring the machine or its network back: the true result arrives by itself. Do not submit the same change again before that.',
  },
  lost: {
    next: 'inspect',
    mayStillRun: true,
    advice:
      'Look at the machine itself. Enrol it again, refresh its facts, then decide whether to submit anew.',
  },
  interrupted: {
    next: 'run-again',
    mayStillRun: false,
    advice: 'Read the end of the output. For package work submit the run again: it repairs dpkg first.',
  },
  expired: {
    next: 'run-again',
    mayStillRun: false,
    advice:
      'Nothing was done. Bring the agent online and submit again, with a later expiresAt where it is away for long.',
  },
  timed_out: {
    next: 'inspect',
    mayStillRun: false,
    advice: 'Look at the last lines of the output for what it waited for, then submit again.',
  },
  rejected: {
    next: 'correct',
    mayStillRun: false,
    advice: 'Nothing was done. The reason says what does not fit: change that and submit again.',
  },
}

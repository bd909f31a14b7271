/** States as they are stored. `unknown` and `lost` are computed when read (view.ts). */
export const storedStates = [
  'queued',
  'offered',
  'started',
  'running',
  'succeeded',
  'failed',
  'cancelled',
  'timed_out',
  'interrupted',
  'expired',
  'rejected',
] as const
export type StoredState = (typeof storedStates)[number]

export const resultStates = ['succeeded', 'failed', 'cancelled', 'timed_out', 'interrupted'] as const
export type ResultState = (typeof resultStates)[number]

/** Everything that can happen to a command. */
export type CommandEvent =
  /** It was offered to its agent, for the first time or again. */
  | { readonly type: 'offer' }
  /** The agent could not take it now (`busy`, `expired`, `stale`): no verdict. */
  | { readonly type: 'return' }
  /** The start is on the agent's stable storage. */
  | { readonly type: 'accept' }
  /** First output or progress. */
  | { readonly type: 'activity' }
  /** The agent's verdict that it will never start. */
  | { readonly type: 'reject' }
  /** Somebody wants it ended, and the agent said that it did not start. */
  | { readonly type: 'confirm-cancel' }
  /** Somebody wants it ended. */
  | { readonly type: 'cancel' }
  /** `expiresAt` passed without a start. */
  | { readonly type: 'expire' }
  /** The agent is back and knows nothing about the attempt. */
  | { readonly type: 'forget' }
  /** How it ended; `rejected` where the host's own policy stopped it before it changed anything. */
  | { readonly type: 'result'; readonly state: ResultState | 'rejected' }

export type Transition =
  | { readonly next: StoredState }
  /** `ended`: terminal states absorb everything. `early`: the event makes no sense yet. */
  | { readonly refused: 'ended' | 'early' }

const terminal: ReadonlySet<StoredState> = new Set([...resultStates, 'expired', 'rejected'])

/** The life of a command, pure: the next state, or why the event changes nothing. A terminal state is never left. */
export function transition(state: StoredState, event: CommandEvent): Transition {
  if (terminal.has(state)) return { refused: 'ended' }
  const started = state === 'started' || state === 'running'
  switch (event.type) {
    case 'offer':
      return started ? early : { next: 'offered' }
    case 'return':
      return state === 'offered' ? { next: 'queued' } : early
    case 'accept':
      // Also from queued: the server may have been restored from a backup, the agent's journal is right.
      return started ? { next: state } : { next: 'started' }
    case 'activity':
      return { next: 'running' }
    case 'reject':
      return started ? early : { next: 'rejected' }
    case 'cancel':
      return state === 'queued' ? { next: 'cancelled' } : { next: state }
    case 'confirm-cancel':
      return started ? early : { next: 'cancelled' }
    case 'expire':
      return started ? early : { next: 'expired' }
    case 'forget':
      return started ? { next: 'interrupted' } : early
    case 'result':
      return { next: event.state }
  }
}

export function isTerminal(state: string): boolean {
  return terminal.has(state as StoredState)
}

const early = { refused: 'early' } as const

import { describe, expect, test } from 'vitest'
import {
  type CommandEvent,
  isTerminal,
  resultStates,
  type StoredState,
  storedStates,
  transition,
} from './state-machine.ts'

/** Event → what becomes of queued, offered, started and running. `-` is refused as early. */
const table: Record<string, readonly [string, string, string, string]> = {
  offer: ['offered', 'offered', '-', '-'],
  return: ['-', 'queued', '-', '-'],
  accept: ['started', 'started', 'started', 'running'],
  activity: ['running', 'running', 'running', 'running'],
  reject: ['rejected', 'rejected', '-', '-'],
  cancel: ['cancelled', 'offered', 'started', 'running'],
  'confirm-cancel': ['cancelled', 'cancelled', '-', '-'],
  expire: ['expired', 'expired', '-', '-'],
  forget: ['-', '-', 'interrupted', 'interrupted'],
}
const events: readonly CommandEvent[] = [
  ...Object.keys(table).map((type) => ({ type }) as CommandEvent),
  ...[...resultStates, 'rejected' as const].map((state) => ({ type: 'result', state }) as const),
]
const open: readonly StoredState[] = ['queued', 'offered', 'started', 'running']
const cases = events.flatMap((event) => storedStates.map((state) => ({ event, state })))

function expected(state: StoredState, event: CommandEvent): object {
  const column = open.indexOf(state)
  if (column < 0) return { refused: 'ended' }
  if (event.type === 'result') return { next: event.state }
  const next = table[event.type]?.[column]
  return next === '-' ? { refused: 'early' } : { next }
}

describe('the life of a command', () => {
  test.each(cases)('$state on $event.type', ({ state, event }) => {
    expect(transition(state, event)).toEqual(expected(state, event))
  })

  test('the table covers every state and event once', () => {
    expect(cases).toHaveLength(storedStates.length * (10 + resultStates.length))
  })

  test('is open in exactly four states', () => {
    expect(storedStates.filter((state) => !isTerminal(state))).toEqual(open)
  })
})

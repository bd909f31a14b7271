import { kill } from 'node:process'
import { setTimeout as wait } from 'node:timers/promises'

/** How long what a program started may go on after it. */
const restMs = 5_000

/**
 * Of a program that was told to end, what it started must end too (a script that ignores SIGTERM). Only root can do it, and only while it
 * still knows the group; of a program that ended by itself, a service may be meant to stay.
 */
export async function endRest(group: number): Promise<void> {
  for (const untilMs = performance.now() + restMs; performance.now() < untilMs; await wait(50))
    if (!signalGroup(group, 0)) return
  signalGroup(group, 'SIGKILL')
}

/** Signals a group, by its negative number; false where nothing of it is left. */
export function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return kill(group, signal)
  } catch {
    return false
  }
}

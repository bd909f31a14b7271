import { setTimeout as wait } from 'node:timers/promises'

/** Milliseconds before the n-th new try (n from 1): at random between 0 and min(60 s, 0.5 s · 2^n), so that a fleet does not return at once. */
export function backoffMs(n: number, random: () => number = Math.random): number {
  return random() * Math.min(60_000, 500 * 2 ** Math.min(n, 10))
}

/** Waits; false where the signal ended it. */
export async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await wait(ms, undefined, { signal })
    return true
  } catch {
    return false
  }
}

import { setTimeout as wait } from 'node:timers/promises'

const mostMs = 5_000

/**
 * Milliseconds before the n-th new try (n from 1): at random between 0 and min(5 s, 0.5 s · 2^n). The jitter spreads a fleet, and the server admits
 * handshakes at its own pace; so an agent may come back within seconds, however long its server or network was away.
 */
export function backoffMs(n: number, random: () => number = Math.random): number {
  return random() * Math.min(mostMs, 500 * 2 ** Math.min(n, 10))
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

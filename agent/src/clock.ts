import { performance } from 'node:perf_hooks'

/** The server's clock as this agent knows it. Neither part trusts the clock of the machine for longer than it must. */
export interface ServerClock {
  /** Unix seconds for a signature: the machine's clock plus the offset the server told. */
  signingSeconds(): number
  /** The server said (signed) what time it is, because a signature was too far off. */
  correct(serverTime: string): void
  /** The server said in `welcome` what time it is. */
  sync(serverTime: string): void
  /** Milliseconds of the server's clock: the time of `welcome` plus what a monotonic clock counted since. */
  nowMs(): number
}

/** A clock that believes the machine until the server speaks. */
export function createServerClock(): ServerClock {
  let offsetMs = 0
  let synced: { serverMs: number; atMs: number } | undefined
  return {
    signingSeconds: () => Math.floor((Date.now() + offsetMs) / 1000),
    correct(serverTime) {
      const ms = Date.parse(serverTime)
      if (Number.isFinite(ms)) offsetMs = ms - Date.now()
    },
    sync(serverTime) {
      const ms = Date.parse(serverTime)
      if (Number.isFinite(ms)) synced = { serverMs: ms, atMs: performance.now() }
    },
    nowMs: () => (synced ? synced.serverMs + performance.now() - synced.atMs : Date.now() + offsetMs),
  }
}

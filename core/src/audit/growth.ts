import type { Store } from '../store/store.ts'

/** Tells those who look at the audit that it grew: soon after a row of this server, within five seconds after one of another writer. */
export interface Growth {
  /** A row is about to be written; it may still fail. Costs nothing while nobody follows. */
  hint(): void
  /** Returns what ends it. */
  follow(listener: () => void): () => void
  dispose(): void
}

const soonMs = 100
const againMs = 250
/** So long a hinted row is waited for before its batch counts as failed. */
const patienceMs = 3000
const sweepMs = 5000

export function createGrowth({ read }: Pick<Store, 'read'>): Growth {
  const listeners = new Set<() => void>()
  let timer: NodeJS.Timeout | undefined
  let sweep: NodeJS.Timeout | undefined
  let known: string | undefined
  let hintedMs = Number.NEGATIVE_INFINITY

  const heads = async (): Promise<string> => {
    const rows = await read
      .selectFrom('audit_log')
      .select(({ fn }) => ['chain', fn.max('seq').as('seq')])
      .groupBy('chain')
      .orderBy('chain')
      .execute()
    return JSON.stringify(rows)
  }
  const look = async (): Promise<void> => {
    timer = undefined
    const before = hintedMs
    // Reading failed once means a little later, not never: the sweep looks again.
    const now = await heads().catch(() => known)
    if (now !== known) {
      known = now
      for (const listener of listeners) listener()
      if (hintedMs !== before) plan(againMs)
    } else if (performance.now() - hintedMs < patienceMs) plan(againMs)
  }
  const plan = (ms: number): void => {
    if (listeners.size > 0) timer ??= setTimeout(look, ms)
    timer?.unref()
  }
  const stop = (): void => {
    clearTimeout(timer)
    clearInterval(sweep)
    timer = undefined
    sweep = undefined
  }

  return {
    hint() {
      hintedMs = performance.now()
      plan(soonMs)
    },
    follow(listener) {
      listeners.add(listener)
      sweep ??= setInterval(look, sweepMs)
      sweep.unref()
      plan(soonMs)
      return () => {
        listeners.delete(listener)
        if (listeners.size === 0) stop()
      }
    },
    dispose() {
      listeners.clear()
      stop()
    },
  }
}

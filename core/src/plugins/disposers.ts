/** Collects what must be undone; undone in reverse order, each at most once, and one that throws stops no other. */
export interface Disposers {
  readonly signal: AbortSignal
  add(dispose: () => void | Promise<void>): void
  dispose(report: (error: unknown) => void): Promise<void>
}

export function createDisposers(): Disposers {
  const abort = new AbortController()
  const pending: (() => void | Promise<void>)[] = []
  return {
    signal: abort.signal,
    add(dispose) {
      pending.push(dispose)
    },
    async dispose(report) {
      abort.abort()
      for (let next = pending.pop(); next; next = pending.pop()) {
        try {
          await next()
        } catch (error) {
          report(error)
        }
      }
    },
  }
}

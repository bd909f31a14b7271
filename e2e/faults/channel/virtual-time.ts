/** Time that passes only when told to: for timers, Date.now and performance.now of this process. Threads keep their own. */
export interface VirtualTime {
  nowMs(): number
  /** Lets time pass. Between timers that are due at different moments, `settled` is awaited. */
  advance(ms: number, settled: () => Promise<void>): Promise<void>
  restore(): void
}

interface Timer {
  dueMs: number
  readonly everyMs: number | undefined
  readonly run: () => void
}

/** Takes over the clock of this process until `restore`. */
export function takeOverTime(): VirtualTime {
  const real = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    setInterval: globalThis.setInterval,
    clearInterval: globalThis.clearInterval,
    dateNow: Date.now,
    performanceNow: performance.now,
  }
  const startedMs = Date.now()
  let passedMs = 0
  const timers = new Map<object, Timer>()

  const add = (run: () => void, ms: number, everyMs: number | undefined): object => {
    const handle = {
      unref: () => handle,
      ref: () => handle,
      hasRef: () => false,
      refresh: () => handle,
      [Symbol.toPrimitive]: () => 0,
    }
    timers.set(handle, { dueMs: passedMs + Math.max(1, ms), everyMs, run })
    return handle
  }
  const clear = (handle: object | undefined): void => {
    if (handle) timers.delete(handle)
  }
  Object.assign(globalThis, {
    setTimeout: (run: (...values: unknown[]) => void, ms = 0, ...values: unknown[]) =>
      add(() => run(...values), ms, undefined),
    setInterval: (run: (...values: unknown[]) => void, ms = 0, ...values: unknown[]) =>
      add(() => run(...values), ms, Math.max(1, ms)),
    clearTimeout: clear,
    clearInterval: clear,
  })
  Date.now = () => startedMs + passedMs
  performance.now = () => passedMs

  const fireDue = (): void => {
    for (const [handle, timer] of [...timers]) {
      if (timer.dueMs > passedMs || !timers.has(handle)) continue
      // One that was missed several times runs once, as on a machine that was busy.
      if (timer.everyMs === undefined) timers.delete(handle)
      else timer.dueMs = passedMs + timer.everyMs
      timer.run()
    }
  }
  return {
    nowMs: () => startedMs + passedMs,
    async advance(ms, settled) {
      const untilMs = passedMs + ms
      while (passedMs < untilMs) {
        passedMs = Math.min(untilMs, passedMs + 500)
        fireDue()
        await settled()
      }
    },
    restore() {
      const { dateNow, performanceNow, ...timerFunctions } = real
      Object.assign(globalThis, timerFunctions)
      Date.now = dateNow
      performance.now = performanceNow
    },
  }
}

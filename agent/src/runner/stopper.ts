import { type FSWatcher, statSync, watch } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { type AttemptFolder, readCancel } from '../attempts.ts'
import { agentError } from '../errors.ts'

export type StopCause = 'cancel' | 'timeout' | 'shutdown'

/** Everything that may end a command early, and when it takes effect. */
export interface Stopper {
  /** Aborted when programs must end and the command must come back. */
  readonly signal: AbortSignal
  /** Aborted when even programs that may never be ended must end. */
  readonly force: AbortSignal
  /** What was asked for first; undefined where nothing was. */
  readonly cause: StopCause | undefined
  /** From here on a cancel takes effect at once, or only at {@link checkpoint}. */
  begin(mode: 'at-once' | 'safe-point'): void
  /** Throws FLT_ATTEMPT_STOPPED where the command should stop. */
  checkpoint(): void
  stop(cause: StopCause): void
  /** Rejects once a stopped command did not come back within the time; programs it may not leave are waited for. */
  overdue(graceMs: number): Promise<never>
  /** Counts programs that a stop does not end, for {@link overdue}. */
  hold(): () => void
  close(): void
}

const pollMs = 1000
/** Of a program whose time is up: so long without a byte of output means that it hangs. */
const quietMs = 15_000
const reasons: Readonly<Record<StopCause, string>> = {
  cancel: 'it was cancelled',
  timeout: 'its time was up',
  shutdown: 'the machine shuts down, or its unit was stopped',
}

/** Watches the file `cancel` of an attempt and, where there is a time-out (ms, monotonic, from now), the time. */
export function createStopper(folder: AttemptFolder, timeoutMs: number | undefined): Stopper {
  const stop = new AbortController()
  const force = new AbortController()
  const closed = new AbortController()
  let mode: 'at-once' | 'safe-point' | undefined
  let cause: StopCause | undefined
  let held = 0

  const apply = (): void => {
    if (cause === undefined || mode === undefined) return
    if (cause === 'cancel' && mode === 'safe-point' && !force.signal.aborted) return
    stop.abort(stopped(cause))
  }
  const ask = (asked: StopCause): void => {
    cause ??= asked
    apply()
    // A time-out takes effect even where a cancel still waits for its safe point.
    if (asked !== 'cancel') stop.abort(stopped(cause))
  }
  /** Programs that may not be ended (dpkg) may go on for as long again, as long as they say something; one that hangs is ended. */
  const timeUp = (mostMs: number): void => {
    ask('timeout')
    const upMs = performance.now()
    let heardMs = upMs
    let size = lengthOf(folder)
    const quiet = setInterval(() => {
      const now = lengthOf(folder)
      if (now !== size) heardMs = performance.now()
      size = now
      if (performance.now() - heardMs < quietMs && performance.now() - upMs < mostMs) return
      clearInterval(quiet)
      force.abort(stopped('timeout'))
    }, pollMs)
    closed.signal.addEventListener('abort', () => clearInterval(quiet), { once: true })
  }
  const look = (): void => {
    readCancel(folder).then(
      (wish) => {
        if (!wish || closed.signal.aborted) return
        if (wish.force) force.abort(stopped('cancel'))
        ask('cancel')
      },
      () => undefined,
    )
  }
  const watcher = watchFolder(folder, (name) => {
    if (name === 'cancel') look()
  })
  const poll = setInterval(look, pollMs)
  const timer = timeoutMs === undefined ? undefined : longTimer(timeoutMs, () => timeUp(timeoutMs))
  look()

  return {
    signal: stop.signal,
    force: force.signal,
    get cause() {
      return cause
    },
    begin(chosen) {
      mode = chosen
      apply()
    },
    checkpoint() {
      if (cause !== undefined) throw stopped(cause)
    },
    stop: ask,
    async overdue(graceMs) {
      await new Promise<void>((resolve) => {
        if (stop.signal.aborted) resolve()
        else stop.signal.addEventListener('abort', () => resolve(), { once: true })
      })
      do await wait(graceMs, undefined, { signal: closed.signal }).catch(() => undefined)
      while (held > 0 && !closed.signal.aborted)
      throw stopped(cause ?? 'cancel')
    },
    hold() {
      held += 1
      return () => {
        held -= 1
      }
    },
    close() {
      closed.abort()
      watcher?.close()
      clearInterval(poll)
      timer?.()
    },
  }
}

/** Undefined where this machine has no watch left to give: then asking once a second has to do. */
function watchFolder({ dir }: AttemptFolder, seen: (name: string | null) => void): FSWatcher | undefined {
  try {
    const watcher = watch(dir, (_event, name) => seen(name))
    watcher.on('error', () => watcher.close())
    return watcher
  } catch {
    return undefined
  }
}

function lengthOf(folder: AttemptFolder): number {
  return statSync(folder.output, { throwIfNoEntry: false })?.size ?? 0
}

function stopped(cause: StopCause): Error {
  return agentError('FLT_ATTEMPT_STOPPED', { reason: reasons[cause] })
}

/** Timers hold 24.8 days at most, time-outs 7: one is enough. Returns how to undo it. */
function longTimer(ms: number, fire: () => void): () => void {
  const timer = setTimeout(fire, ms)
  return () => clearTimeout(timer)
}

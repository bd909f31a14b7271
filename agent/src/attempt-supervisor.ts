import { type FSWatcher, watch } from 'node:fs'
import { performance } from 'node:perf_hooks'
import type { Log } from '@fleetupdate/sdk'
import type { AgentFrameOf, ServerFrameOf } from '@fleetupdate/sdk/protocol'
import { burySilentAttempt } from './attempt-burial.ts'
import { readEnding, readProgress, requestCancel, sizeOfOutput } from './attempts.ts'
import type { Outbox } from './connection.ts'
import { describeError } from './errors.ts'
import type { Journal, JournalEntry } from './journal.ts'
import { createOutputTail, type OutputSummary } from './output-tail.ts'

export interface SupervisorOptions {
  readonly entry: JournalEntry
  readonly journal: Journal
  readonly outbox: Outbox
  readonly log: Log
  /** `fresh`: its runner is being started by this agent; `found`: it stands there from before. */
  readonly origin: 'fresh' | 'found'
  /** The runner ended (its output may still be on the way). */
  ended(): void
  /** The server has all of it durably. */
  settled(): void
}

/** Watches one attempt through its files, from its start until the server has its result. */
export interface AttemptSupervisor {
  readonly entry: JournalEntry
  readonly hasEnded: boolean
  /** Resolves when the first line of output is on its way; only then the runner should take the processor. */
  readonly announced: Promise<void>
  opened(): void
  acknowledged(ack: ServerFrameOf<'ack'>): void
  cancel(force: boolean): Promise<void>
  /** The runner's process is gone, or never came. */
  runnerGone(): void
  close(): Promise<void>
}

const pollMs = 250
const livenessMs = 1000
const resendMs = 10_000
const progressMs = 250
/** How long a runner may take to claim its attempt. */
const claimMs = 30_000

/** Supervises one attempt. */
export function superviseAttempt(options: SupervisorOptions): AttemptSupervisor {
  const { entry, journal, outbox, log } = options
  const { commandId, epoch, folder } = entry
  const startedMs = performance.now()
  let final: AgentFrameOf<'result'> | undefined
  let drained: OutputSummary | undefined
  let concluding = false
  let ended = false
  let closed = false
  let patienceMs = options.origin === 'found' ? 0 : claimMs
  let checkedMs = 0
  let sentMs = Number.NEGATIVE_INFINITY
  let progressSent = ''
  let progressAtMs = 0
  let checking = false
  let isTakenUp = false
  let watcher: FSWatcher | undefined
  let timer: NodeJS.Timeout | undefined

  const tail = createOutputTail({
    folder,
    endless: entry.request?.endless ?? false,
    send(chunk) {
      if (!outbox.online) return false
      outbox.send({ type: 'output', commandId, epoch, ...chunk })
      return true
    },
    drained(summary) {
      drained = summary
      void conclude().catch(failed)
    },
    failed,
  })
  function failed(error: unknown): void {
    log.error(`Attempt ${commandId}.${epoch}: ${describeError(error)}`)
  }
  const conclude = async (): Promise<void> => {
    if (!drained || final || concluding) return
    concluding = true
    try {
      const ending = await readEnding(folder)
      if (!ending) return
      const { outputSize = 0, ...verdict } = ending
      const { damaged, ...output } = drained
      const isCut = damaged || (await sizeOfOutput(folder)) < outputSize
      const lost = isCut ? 'The disk of the machine lost output that was not sent yet.' : ''
      const reason = [ending.reason, lost].filter(Boolean).join(' ')
      const frame: AgentFrameOf<'result'> = { type: 'result', commandId, epoch, ...verdict, output }
      if (reason !== '') frame.reason = reason.slice(0, 4000)
      await journal.writeFinalFrame(frame)
      final = frame
      sendFinal()
    } finally {
      concluding = false
    }
  }
  const sendFinal = (): void => {
    if (!final || !outbox.online) return
    sentMs = performance.now()
    outbox.send(final)
  }
  const reportProgress = async (): Promise<void> => {
    if (ended || performance.now() - progressAtMs < progressMs) return
    const progress = await readProgress(folder)
    const text = JSON.stringify(progress)
    if (!progress || text === progressSent || !outbox.online) return
    progressSent = text
    progressAtMs = performance.now()
    outbox.send({ type: 'progress', commandId, epoch, ...progress })
  }
  const lookForEnding = async (): Promise<void> => {
    if (ended) return
    if ((await readEnding(folder)) === undefined) {
      if (performance.now() - checkedMs < livenessMs) return
      checkedMs = performance.now()
      await burySilentAttempt(entry, performance.now() - startedMs > patienceMs)
      if ((await readEnding(folder)) === undefined) return
    }
    ended = true
    tail.finish()
    options.ended()
  }
  const check = (): void => {
    if (closed || !isTakenUp) return
    tail.wake()
    if (checking) return
    checking = true
    Promise.all([reportProgress(), lookForEnding()])
      .catch(failed)
      .finally(() => {
        checking = false
      })
    if (performance.now() - sentMs > resendMs) sendFinal()
    // Again where the disk was full or the like: the result must not wait for a restart.
    if (drained && !final) void conclude().catch(failed)
  }
  /** What an earlier agent left is read first; where that fails for a while (too many open files), it is tried again. */
  const takeUp = async (): Promise<void> => {
    if (options.origin === 'found') final = await journal.finalFrame(commandId, epoch)
    if (closed) return
    timer = setInterval(check, pollMs)
    isTakenUp = true
    if (final) {
      ended = true
      options.ended()
    } else {
      try {
        watcher = watch(folder.dir, check)
        watcher.on('error', () => watcher?.close())
      } catch {
        // Without inotify the timer alone has to do.
      }
      await tail.caughtUp()
    }
    check()
  }
  const tryAgain = (error: unknown): void => {
    failed(error)
    if (!closed && !isTakenUp) timer = setTimeout(() => void takeUp().catch(tryAgain), livenessMs)
  }
  const announced = takeUp().catch(tryAgain)

  return {
    entry,
    announced,
    get hasEnded() {
      return ended
    },
    opened() {
      progressSent = ''
      if (final) sendFinal()
      else tail.opened()
    },
    acknowledged(ack) {
      if (ack.output !== undefined && !final) tail.acknowledged(ack.output)
      if (ack.result !== true || !final || closed) return
      journal.acknowledge(commandId, epoch).then(() => options.settled(), failed)
    },
    async cancel(force) {
      if (!ended) await requestCancel(folder, { force })
    },
    runnerGone() {
      patienceMs = 0
      checkedMs = 0
      check()
    },
    async close() {
      closed = true
      watcher?.close()
      clearInterval(timer)
      await tail.close()
    },
  }
}

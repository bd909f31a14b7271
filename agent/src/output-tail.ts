import { createHash, type Hash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { performance } from 'node:perf_hooks'
import { limits } from '@fleetupdate/sdk/protocol'
import type { AttemptFolder } from './attempts.ts'
import { createCheck } from './check.ts'
import { carried } from './compile-when-busy.ts'
import { readJson, writeDurably } from './durable-file.ts'
import { punchHole } from './hole.ts'
import { OutputQueue } from './output-queue.ts'
import {
  boundaryAfter,
  boundaryBefore,
  type OutputBlock,
  type OutputPoint,
  readOutput,
} from './output-text.ts'
import { TailPoint } from './schemas.ts'

export interface OutputSummary {
  readonly bytes: number
  readonly droppedBytes?: number
  readonly sha256?: string
  /** The file is shorter than what was sent of it before, or gone: the disk lost it. */
  readonly damaged?: true
}

export interface OutputTailOptions {
  readonly folder: AttemptFolder
  readonly endless: boolean
  /** False where there is no session: then it is called again later. */
  send(chunk: { readonly offset: number; readonly end: number; readonly text: string }): boolean
  /** Called once, when the output is complete and all of it is acknowledged. */
  drained(summary: OutputSummary): void
  failed(error: unknown): void
  /** For tests: the sizes at which the middle is dropped, and the least that is given back to the disk at once. */
  readonly sizes?: { readonly head: number; readonly tail: number; readonly reclaim: number }
}

/** Follows one output file, by bytes, and sends it as text until all of it is acknowledged. */
export interface OutputTail {
  /** There may be something new, or time has passed. */
  wake(): void
  /** A new session: what is not acknowledged is sent again. */
  opened(): void
  acknowledged(offset: number): void
  /** Resolves when everything there is now was read, or must wait for an acknowledgement. */
  caughtUp(): Promise<void>
  /** Nothing more will be written. */
  finish(): void
  close(): Promise<void>
}

const batchMs = 16
const resendMs = 10_000
const start: OutputPoint = { raw: 0, text: 0 }
const pointCheck = createCheck(TailPoint)
const defaults = {
  head: limits.outputBytes - limits.outputTailBytes,
  tail: limits.outputTailBytes,
  reclaim: 4 * 1024 * 1024,
}

/**
 * `sending`: the text goes out as it comes. `holding`: beyond 8 MiB it is only counted. `closing`: the output is complete, and what is left to send
 * is known. `done`: all was queued.
 */
type Stage = 'sending' | 'holding' | 'closing' | 'done'

/** Starts at the beginning of the output, or, where that was given back to the disk, after it. The server says what it has already. */
export function createOutputTail(options: OutputTailOptions): OutputTail {
  const { folder, endless, sizes = defaults } = options
  const queue = new OutputQueue(options.send)
  let file: FileHandle | undefined
  let stage: Stage = 'sending'
  let point = start
  /** Where the file begins after what was given back; read once. */
  let base: OutputPoint | undefined
  let hash: Hash = createHash('sha256')
  /** Where holding began: the block, and the text that was still sent. */
  let held: { readonly from: OutputPoint; readonly text: number } | undefined
  let marks: OutputPoint[] = []
  let droppedBytes = 0
  let reclaimedRaw = 0
  let finished = false
  let drained = false
  let closed = false
  let pumping: Promise<void> | undefined
  let again = false
  let nextReadMs = 0
  let timer: NodeJS.Timeout | undefined

  const produce = (bytes: Buffer, offset: number, to?: OutputPoint): void => {
    carried(bytes.length)
    if (!endless) hash.update(bytes)
    queue.add(bytes, offset, to)
  }
  const drop = (from: number, to: number): void => {
    const bytes = Buffer.from(`\n[… ${to - from} bytes dropped …]\n`)
    droppedBytes += to - from
    if (!endless) hash.update(bytes)
    queue.addMarker(bytes, from, to)
  }
  const reset = (): void => {
    stage = 'sending'
    point = endless && base ? base : start
    hash = createHash('sha256')
    held = undefined
    marks = []
    droppedBytes = 0
    queue.clear()
  }
  const openFile = async (): Promise<FileHandle> => {
    if (file) return file
    base = await readJson(folder.file('tail.json'), pointCheck)
    reclaimedRaw = base?.raw ?? 0
    if (endless && base) {
      point = base
      queue.acknowledge(base.text)
    }
    // Made where it is gone: what then is missing is said at the end.
    file = await open(folder.output, constants.O_RDONLY | constants.O_CREAT, 0o600)
    return file
  }
  const send = (block: OutputBlock): void => {
    const { from, to, bytes } = block
    point = to
    if (endless || to.text <= sizes.head) {
      produce(bytes, from.text, to)
      return
    }
    const cut = boundaryBefore(bytes, sizes.head - from.text)
    produce(bytes.subarray(0, cut), from.text)
    held = { from, text: from.text + cut }
    stage = 'holding'
    if (base && base.raw > to.raw) point = base
  }
  const hold = async (block: OutputBlock): Promise<void> => {
    marks.push(block.from)
    point = block.to
    // The last 2 MiB of text are at most that many bytes of the file.
    const safe = point.raw - sizes.tail
    while (marks[1] && marks[1].raw <= safe) marks.shift()
    const [first] = marks
    if (first && held && point.text > sizes.head + sizes.tail && first.raw <= safe)
      await reclaim(first, held.from.raw + 256 * 1024)
  }
  /** Everything is counted: sends the rest, or says how much is dropped and sends the last 2 MiB. */
  const settle = async (reader: FileHandle): Promise<void> => {
    stage = 'closing'
    if (!held) return
    const total = point.text
    const wanted = total <= sizes.head + sizes.tail ? held.text : total - sizes.tail
    point = total <= sizes.head + sizes.tail ? held.from : (marks[0] ?? point)
    for (const mark of marks) if (total > sizes.head + sizes.tail && mark.text <= wanted) point = mark
    const block = await readOutput(reader, point, { complete: true })
    if (!block) return
    const cut = boundaryAfter(block.bytes, wanted - block.from.text)
    const first = block.from.text + cut
    if (first > held.text) drop(held.text, first)
    produce(block.bytes.subarray(cut), first)
    point = block.to
  }
  /** Gives the disk back what is not needed again, and remembers durably where reading begins then. */
  const reclaim = async (to: OutputPoint, fromRaw: number): Promise<void> => {
    const from = Math.max(fromRaw, reclaimedRaw)
    if (to.raw - from < sizes.reclaim) return
    await writeDurably(folder.file('tail.json'), JSON.stringify(to))
    base = to
    reclaimedRaw = to.raw
    await punchHole(folder.output, fromRaw, to.raw)
  }
  /** Of an endless output that nobody takes, only the last part is kept: the disk of the machine is finite. */
  const skipBacklog = async (reader: FileHandle): Promise<boolean> => {
    const { size } = await reader.stat()
    if (size - point.raw <= sizes.head + 2 * sizes.tail) return false
    const from = point.text
    while (size - point.raw > sizes.head) {
      const block = await readOutput(reader, point, { complete: false })
      if (!block) break
      point = block.to
    }
    drop(from, point.text)
    await reclaim(point, 0)
    return true
  }

  const step = async (reader: FileHandle): Promise<boolean> => {
    queue.flush()
    if (stage === 'done') return false
    if (stage !== 'holding' && queue.isFull) return endless && !finished ? skipBacklog(reader) : false
    const block = await readOutput(reader, point, { complete: finished })
    if (block) {
      if (stage === 'holding') await hold(block)
      else if (stage === 'sending') send(block)
      else {
        produce(block.bytes, block.from.text, block.to)
        point = block.to
      }
      return true
    }
    nextReadMs = performance.now() + batchMs
    if (!finished) return false
    if (stage === 'holding') await settle(reader)
    else stage = 'done'
    return true
  }
  const pump = async (): Promise<void> => {
    const reader = await openFile()
    do {
      again = false
      while (!closed && (await step(reader)));
      const { acknowledgedPoint } = queue
      if (endless && acknowledgedPoint) await reclaim(acknowledgedPoint, 0)
    } while (again && !closed)
    if (stage !== 'done' || !queue.isEmpty || drained || closed) return
    drained = true
    const dropped = droppedBytes === 0 ? {} : { droppedBytes }
    // It always begins with the line of the agent.
    if (point.text === 0 || point.text < queue.acknowledged)
      return options.drained({ bytes: Math.max(point.text, queue.acknowledged), ...dropped, damaged: true })
    options.drained({ bytes: point.text, ...dropped, ...(endless ? {} : { sha256: hash.digest('hex') }) })
  }
  const run = (): void => {
    if (closed || drained) return
    if (pumping) {
      again = true
      return
    }
    pumping = pump()
      .catch((error) => options.failed(error))
      .finally(() => {
        pumping = undefined
        if (again) run()
      })
  }
  const wake = (): void => {
    if (queue.silentMs > resendMs) queue.resend()
    const waitMs = nextReadMs - performance.now()
    if (waitMs <= 0) run()
    else
      timer ??= setTimeout(() => {
        timer = undefined
        run()
      }, waitMs)
  }
  return {
    wake,
    opened() {
      queue.resend()
      run()
    },
    acknowledged(offset) {
      const lost = queue.acknowledge(offset)
      if (lost) {
        // The server has less than it once acknowledged: it was restored from a backup.
        const restart = (): void => {
          reset()
          queue.rewind(offset)
          if (endless && base && base.text > offset) drop(offset, base.text)
          run()
        }
        if (pumping) pumping.finally(restart)
        else restart()
      } else run()
    },
    async caughtUp() {
      run()
      await pumping
    },
    finish() {
      finished = true
      run()
    },
    async close() {
      closed = true
      clearTimeout(timer)
      await pumping
      await file?.close()
    },
  }
}

import { Worker } from 'node:worker_threads'
import type { FleetError } from '@fleetupdate/sdk'
import { fleetError } from '../errors.ts'
import { encodeGroup, type PendingBatch } from './encode-group.ts'
import type { BatchResult, Failure, FromWorker, ToWorker, WorkerSettings } from './messages.ts'
import type { WriteOptions, WriteOutcome, WriteStatement } from './store.ts'

export interface WriterOptions {
  readonly location: URL
  /** How long a write may wait for a lock of another process before it is refused with FLT_STORE_BUSY. */
  readonly busyMs: number
  /** Called once, after everything that waited was rejected: the disk or the thread failed, and nothing is written any more. */
  onFatal(error: FleetError): void
}

/** The server's side of the one thread that writes. */
export interface Writer {
  /** Opens or creates a file. Where a critical one turns out damaged later, the whole writer fails. */
  open(path: string, importance: 'critical' | 'optional'): Promise<WriterFile>
  close(): Promise<void>
}

export interface WriterFile {
  write(statements: readonly WriteStatement[], options?: WriteOptions): Promise<readonly WriteOutcome[]>
  /** Resolves when everything that waited is answered and the handle is closed. */
  close(): Promise<void>
}

interface OpenFile {
  readonly path: string
  readonly importance: 'critical' | 'optional'
  readonly waiting: PendingBatch[]
  readonly sent: Map<number, PendingBatch>
  readonly idle: (() => void)[]
  flushing: boolean
  /** Something waits that must not wait longer than it has to. */
  isUrgent: boolean
  /** Runs while what waits may wait for company. */
  patience: NodeJS.Timeout | undefined
  closing: boolean
}

const mostWaiting = 100_000
const unhurriedMs = 10

/** What the thread works on lives for one commit: more room for it would be memory that is never used twice. */
const resourceLimits = { maxYoungGenerationSizeMb: 12 }

/** Starts the thread. What waits while it is busy goes to it as one group; when it is idle, a write leaves in the same turn. */
export function createWriter({ location, busyMs, onFatal }: WriterOptions): Writer {
  const settings: WorkerSettings = { busyMs }
  const worker = new Worker(location, { workerData: settings, execArgv: [], name: 'store', resourceLimits })
  const files = new Map<string, OpenFile>()
  const opening = new Map<string, (failure: Failure | undefined) => void>()
  const closing = new Map<string, () => void>()
  let failed: FleetError | undefined
  let ending = false
  let lastId = 0

  worker.on('message', receive)
  worker.on('error', (cause) => fail(cause.message, cause))
  worker.on('exit', () => fail('the thread that writes has ended'))

  return {
    async open(path, importance) {
      if (failed) throw failed
      if (ending) throw fleetError('FLT_STORE_CLOSED')
      if (files.has(path) || opening.has(path)) throw new Error(`${path} is open already`)
      const failure = await new Promise<Failure | undefined>((resolve) => {
        opening.set(path, resolve)
        send({ kind: 'open', file: path })
      })
      if (failure) throw errorOf(failure, path)
      const file: OpenFile = {
        path,
        importance,
        waiting: [],
        sent: new Map(),
        idle: [],
        flushing: false,
        isUrgent: false,
        patience: undefined,
        closing: false,
      }
      files.set(path, file)
      return {
        write: (statements, options) => write(file, statements, options),
        close: () => closeFile(file),
      }
    },
    async close() {
      if (ending) return
      await Promise.all([...files.values()].map(closeFile))
      ending = true
      await worker.terminate()
    },
  }

  function nextId(): number {
    lastId += 1
    return lastId
  }

  function send(message: ToWorker): void {
    worker.postMessage(message)
  }

  async function write(
    file: OpenFile,
    statements: readonly WriteStatement[],
    { unhurried = false }: WriteOptions = {},
  ): Promise<readonly WriteOutcome[]> {
    if (failed) throw failed
    if (file.closing) throw fleetError('FLT_STORE_CLOSED')
    if (file.waiting.length >= mostWaiting) throw fleetError('FLT_STORE_BUSY')
    if (statements.length === 0) return []
    return new Promise((resolve, reject) => {
      file.waiting.push({ statements, since: performance.now(), resolve, reject })
      if (unhurried) file.patience ??= setTimeout(() => hurry(file), unhurriedMs)
      else hurry(file)
    })
  }

  function hurry(file: OpenFile): void {
    clearTimeout(file.patience)
    file.patience = undefined
    file.isUrgent = true
    scheduleFlush(file)
  }

  /** At the end of this turn of the loop, so that all who write in one turn share one commit. */
  function scheduleFlush(file: OpenFile): void {
    if (!file.isUrgent || file.flushing || file.sent.size > 0 || file.waiting.length === 0) return
    file.flushing = true
    setImmediate(() => {
      file.flushing = false
      if (failed) return
      const message = encodeGroup(file.path, file.waiting, file.sent, nextId)
      file.isUrgent = file.waiting.length > 0
      if (message) send(message)
      else settle(file)
    })
  }

  function receive(message: FromWorker): void {
    if (message.kind === 'opened') take(opening, message.file)?.(message.failure)
    else if (message.kind === 'closed') take(closing, message.file)?.()
    else if (message.kind === 'fatal') fail(message.failure.problem)
    else answer(message.file, message.results)
  }

  function answer(path: string, results: readonly BatchResult[]): void {
    const file = files.get(path)
    if (!file) return
    for (const result of results) {
      const pending = take(file.sent, result.id)
      if (!pending) continue
      if ('outcomes' in result) pending.resolve(result.outcomes)
      else {
        const error = errorOf(result.failure, path)
        pending.reject(error)
        if (result.failure.code === 'FLT_STORE_CORRUPT' && file.importance === 'critical')
          fail(error.message, error)
      }
    }
    settle(file)
  }

  function settle(file: OpenFile): void {
    scheduleFlush(file)
    if (file.sent.size > 0 || file.waiting.length > 0) return
    for (const resolve of file.idle.splice(0)) resolve()
  }

  /** Fail-stop: what is not answered may or may not be stored, so that only a new start can tell. */
  function fail(problem: string, cause?: unknown): void {
    if (failed || ending) return
    const error = fleetError('FLT_STORE_FAILED', { problem }, { cause })
    failed = error
    for (const resolve of opening.values()) resolve({ code: 'FLT_STORE_FAILED', problem })
    for (const resolve of closing.values()) resolve()
    for (const file of files.values()) {
      clearTimeout(file.patience)
      for (const { reject } of [...file.sent.values(), ...file.waiting.splice(0)]) reject(error)
      file.sent.clear()
      for (const resolve of file.idle.splice(0)) resolve()
    }
    void worker.terminate()
    onFatal(error)
  }

  async function closeFile(file: OpenFile): Promise<void> {
    if (file.closing) return
    file.closing = true
    hurry(file)
    if (file.sent.size > 0 || file.waiting.length > 0)
      await new Promise<void>((resolve) => file.idle.push(resolve))
    if (!failed)
      await new Promise<void>((resolve) => {
        closing.set(file.path, resolve)
        send({ kind: 'close', file: file.path })
      })
    files.delete(file.path)
  }
}

function take<K, V>(map: Map<K, V>, key: K): V | undefined {
  const value = map.get(key)
  map.delete(key)
  return value
}

function errorOf({ code, problem, details }: Failure, file: string): FleetError | Error {
  if (code === undefined) return new Error(problem)
  return fleetError(code, { file, path: file, problem }, details && { details })
}

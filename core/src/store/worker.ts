import { parentPort, workerData } from 'node:worker_threads'
import type { Failure, FromWorker, ToWorker, WorkerSettings } from './messages.ts'
import { problemOf, troubleOf } from './sqlite-trouble.ts'
import { openWritableFile, type WritableFile } from './writable-file.ts'

// The entry of the one thread that owns every writable handle. It answers messages and knows nothing else.

const port = parentPort
if (!port) throw new Error('store/worker.ts runs in a worker thread only')
const { busyMs } = workerData as WorkerSettings
const files = new Map<string, WritableFile>()
const openRetryMs = 20
let dead = false

port.on('message', (message: ToWorker) => {
  if (dead) return
  if (message.kind === 'open') open(message.file, performance.now() + busyMs)
  else if (message.kind === 'group') files.get(message.file)?.commit(message.batches, message.texts)
  else close(message.file)
})

function send(message: FromWorker): void {
  port?.postMessage(message)
}

function open(file: string, giveUpAt: number): void {
  try {
    const opened = openWritableFile({
      path: file,
      busyMs,
      answer: (results) => send({ kind: 'results', file, results }),
      fatal(failure) {
        dead = true
        send({ kind: 'fatal', file, failure })
      },
    })
    files.set(file, opened)
    send({ kind: 'opened', file })
  } catch (error) {
    if (troubleOf(error) === 'busy' && performance.now() < giveUpAt) {
      setTimeout(() => open(file, giveUpAt), openRetryMs)
      return
    }
    send({ kind: 'opened', file, failure: openFailure(error, file) })
  }
}

function openFailure(error: unknown, file: string): Failure {
  const problem = problemOf(error)
  switch (troubleOf(error)) {
    case 'busy':
      return { code: 'FLT_STORE_BUSY', problem }
    case 'full':
      return { code: 'FLT_STORE_FULL', problem }
    case 'corrupt':
      return { code: 'FLT_STORE_CORRUPT', problem, details: { file } }
    case 'failed':
      return { code: 'FLT_START_DATA_DIR', problem, details: { path: file } }
    default:
      return { problem }
  }
}

function close(file: string): void {
  files.get(file)?.close()
  files.delete(file)
  send({ kind: 'closed', file })
}

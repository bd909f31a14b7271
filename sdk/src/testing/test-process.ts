import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** A server or agent of a test fleet. */
export interface TestProcess {
  readonly pid: number
  /** Everything it printed so far. */
  output(): string
  /** Ends it with a signal and waits. */
  kill(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): Promise<void>
  /** Starts it again after it ended, with the same settings. */
  restart(): Promise<void>
  /** Called when it ended without having been asked to. */
  onExit(handler: (code: number | null) => void): void
}

export interface ProcessStart {
  readonly entry: string
  /** Asked at each start. */
  environment(): Record<string, string>
  /** Resolves when it can be used. */
  ready(child: ChildProcess): Promise<void>
  /** Told of every line it prints. */
  readonly print?: ((line: string) => void) | undefined
}

/** Starts a Node program and waits until it is ready; rejects with what it printed where it ends before. */
export async function startProcess({ entry, environment, ready, print }: ProcessStart): Promise<TestProcess> {
  let printed = ''
  let child: ChildProcess
  let asked = false
  const handlers: ((code: number | null) => void)[] = []
  const start = async (): Promise<void> => {
    asked = false
    const started = spawn(process.execPath, [entry], {
      env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', ...environment() },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    child = started
    for (const stream of [started.stdout, started.stderr]) {
      stream?.on('data', (data) => (printed += data))
      if (print && stream) createInterface({ input: stream }).on('line', print)
    }
    await Promise.race([
      ready(started),
      once(started, 'exit').then(([code]) => {
        throw new Error(`${entry} ended with ${code}:\n${printed}`)
      }),
    ])
    started.once('exit', (code) => {
      if (!asked) for (const handler of handlers) handler(code)
    })
  }
  await start()
  return {
    get pid() {
      return child.pid ?? -1
    },
    output: () => printed,
    async kill(signal) {
      asked = true
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill(signal)
      await ended
    },
    restart: start,
    onExit: (handler) => void handlers.push(handler),
  }
}

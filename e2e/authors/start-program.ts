import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** A Node program that runs on, as in a terminal of its own. */
export interface Running {
  output(): string
  /** Waits until it printed that; rejects with all it printed after the time. */
  printed(text: string | RegExp, timeoutMs?: number): Promise<void>
  /** Forgets what was printed so far. */
  clear(): void
  /** Presses Ctrl-C and answers the exit code. */
  interrupt(): Promise<number | null>
}

/** Starts a Node program in a folder. */
export function startNode(file: string, args: readonly string[], cwd: string): Running {
  const child = spawn(process.execPath, [file, ...args], {
    cwd,
    env: { PATH: process.env.PATH ?? '', HOME: cwd },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const listeners = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data) => {
      output += data
      for (const listener of listeners) listener()
    })
  return {
    output: () => output,
    printed: (text, timeoutMs = 60_000) =>
      new Promise((resolve, reject) => {
        const done = (error?: Error): void => {
          listeners.delete(look)
          clearTimeout(timer)
          child.off('exit', ended)
          if (error) reject(error)
          else resolve()
        }
        const look = (): void => {
          if (typeof text === 'string' ? output.includes(text) : text.test(output)) done()
        }
        const ended = (code: number | null): void => done(new Error(`It ended with ${code}:\n${output}`))
        const timer = setTimeout(
          () => done(new Error(`"${text}" was not printed within ${timeoutMs / 1000} s:\n${output}`)),
          timeoutMs,
        )
        child.once('exit', ended)
        listeners.add(look)
        look()
      }),
    clear() {
      output = ''
    },
    async interrupt() {
      if (child.exitCode !== null) return child.exitCode
      const ended = once(child, 'exit')
      child.kill('SIGINT')
      const [code] = (await ended) as [number | null]
      return code
    },
  }
}

import type { ChildProcess } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { signalGroup } from '../run.ts'

/** A process that one talks to, started by whatever way. */
export interface Started {
  readonly stdin: Writable
  readonly stdout: Readable
  /** Resolves, with how it ended, when the process is gone. Never rejects. */
  readonly ended: Promise<string>
  /** Ends it and all its children for sure. */
  kill(): void
}

const keptChars = 2000

/** A child process as others see it; the end of what it prints to stderr says how it ended. */
export function childStarted(child: ChildProcess): Started {
  const { stdin, stdout, stderr } = child
  if (!stdin || !stdout) throw new Error('the process has no pipes')
  let printed = ''
  stderr?.setEncoding('utf8').on('data', (text: string) => {
    printed = (printed + text).slice(-keptChars)
  })
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`its process cannot be started: ${error.message}`))
    child.once('exit', (code, signal) => {
      // What it said last may still be on its way; a program it left behind may hold the pipes for ever.
      const patience = setTimeout(() => over(code, signal), 1000)
      child.once('close', () => {
        clearTimeout(patience)
        over(code, signal)
      })
    })
    const over = (code: number | null, signal: string | null): void => {
      // Node ends what it prints with its version.
      const last =
        printed
          .split('\n')
          .filter((line) => line.trim() !== '' && !/^Node\.js v/.test(line))
          .at(-1)
          ?.trim() ?? ''
      const how = signal === null ? `exit code ${code}` : `signal ${signal}`
      resolve(`its process ended (${how})${last === '' ? '' : `: ${last}`}`)
    }
  })
  return { stdin, stdout, ended, kill: () => signalGroup(child, 'SIGKILL') }
}

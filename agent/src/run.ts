import { type ChildProcess, type IOType, spawn } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import { join } from 'node:path'
import { kill } from 'node:process'
import { setTimeout as wait } from 'node:timers/promises'
import type { RunResult } from '@fleetupdate/sdk'
import { agentError, describeError, errorCode } from './errors.ts'

// The only place of the agent that starts a process (the root helper is a program of its own): no shell, argument arrays, a fixed environment.

const searchPath = ['/usr/sbin', '/usr/bin', '/sbin', '/bin']
const captureBytes = 16 * 1024 * 1024
/** Between SIGTERM and SIGKILL. */
const graceMs = 10_000

export interface Start {
  /** Absolute path. */
  readonly program: string
  readonly args: readonly string[]
  /** Added to {@link fixedEnvironment}. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly stdio: readonly (IOType | number)[]
  /** The user and group it runs as, by number; only root can say one. */
  readonly user?: number
}

/** All a started program finds in its environment. */
export const fixedEnvironment: Readonly<Record<string, string>> = {
  PATH: searchPath.join(':'),
  LANG: 'C.UTF-8',
  HOME: '/root',
}

/** Starts a program in a session of its own: no signal for the agent reaches it, and it can be ended with all its children. */
export function startProcess({ program, args, env, cwd, stdio, user }: Start): ChildProcess {
  return spawn(program, args, {
    cwd: cwd ?? '/',
    env: { ...fixedEnvironment, ...env },
    stdio: [...stdio],
    detached: true,
    shell: false,
    ...(user === undefined ? {} : { uid: user, gid: user }),
  })
}

/** The absolute path of a program on the fixed search path; undefined where it is not installed. */
export function findProgram(name: string): string | undefined {
  const candidates = name.includes('/') ? [name] : searchPath.map((folder) => join(folder, name))
  return candidates.find((path) => path.startsWith('/') && isExecutable(path))
}

/** A program that was started, as far as somebody who waits for it must know. */
export interface Program {
  readonly pid: number | undefined
  readonly stdin?: ChildProcess['stdin']
  readonly stdout?: ChildProcess['stdout']
  readonly stderr?: ChildProcess['stderr']
  /** Exit code and signal; rejects where it never started. */
  readonly ended: Promise<readonly [number, string | null]>
  /** Ends it with all its children. */
  end(signal: 'SIGTERM' | 'SIGKILL'): void
}

/** A child of this process as a program. */
export function childProgram(child: ChildProcess, name: string): Program {
  const { pid, stdin, stdout, stderr } = child
  return { pid, stdin, stdout, stderr, ended: exited(child, name), end: (kind) => signalGroup(child, kind) }
}

export interface Supervision {
  /** How the program is called in messages. */
  readonly name: string
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
  readonly input?: string
  /** Gets what the program writes as it comes; then nothing is collected, and there is no limit. */
  readonly seen?: (text: string) => void
}

/**
 * Waits for a program and collects what it writes into pipes, up to 16 MiB. On abort or time-out: SIGTERM, after 10 s SIGKILL, always to the
 * whole group. Rejects with FLT_RUN_MISSING, FLT_RUN_TIMEOUT, FLT_RUN_ABORTED or FLT_RUN_OUTPUT.
 */
export async function supervise(program: Program, options: Supervision): Promise<RunResult> {
  const { name, signal, timeoutMs, input } = options
  let stopped: Error | undefined
  let grace: NodeJS.Timeout | undefined
  const stop = (error: Error): void => {
    if (stopped) return
    stopped = error
    program.end('SIGTERM')
    grace = setTimeout(() => program.end('SIGKILL'), graceMs)
  }
  const aborted = (): void =>
    stop(agentError('FLT_RUN_ABORTED', { program: name, reason: describeError(signal?.reason) }))
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(
          () => stop(agentError('FLT_RUN_TIMEOUT', { program: name, seconds: timeoutMs / 1000 })),
          timeoutMs,
        )
  const tooMuch = (): void => stop(agentError('FLT_RUN_OUTPUT', { program: name, limit: captureBytes }))
  const take = (stream: Program['stdout']): (() => string) => {
    if (!options.seen) return collect(stream, tooMuch)
    stream?.setEncoding('utf8').on('data', options.seen)
    return () => ''
  }
  const [out, err] = [take(program.stdout), take(program.stderr)]
  try {
    if (signal?.aborted) aborted()
    else signal?.addEventListener('abort', aborted, { once: true })
    // A program that ends without reading its input is no error.
    program.stdin?.on('error', () => undefined)
    if (input !== undefined) program.stdin?.end(input)
    const [exitCode, endSignal] = await program.ended
    if (stopped) {
      await endRest(program)
      throw stopped
    }
    return { exitCode, signal: endSignal, stdout: out(), stderr: err() }
  } finally {
    clearTimeout(timer)
    clearTimeout(grace)
    signal?.removeEventListener('abort', aborted)
  }
}

/** Of a program that was told to end: what it started and left behind must not go on without it. */
async function endRest(program: Program): Promise<void> {
  const untilMs = performance.now() + graceMs
  while (groupLives(program.pid) && performance.now() < untilMs) await wait(50)
  program.end('SIGKILL')
}

function groupLives(pid: number | undefined): boolean {
  if (pid === undefined) return false
  try {
    kill(-pid, 0)
    return true
  } catch (error) {
    return errorCode(error) === 'EPERM'
  }
}

/** Signals a program and its children; nothing happens where they are gone or belong to someone else. */
export function signalGroup(child: { readonly pid?: number | undefined }, kind: 'SIGTERM' | 'SIGKILL'): void {
  if (child.pid === undefined) return
  try {
    kill(-child.pid, kind)
  } catch {
    // It has ended already, or it runs as root.
  }
}

/** Ends with the program, not with its pipes: a daemon it left behind may hold them for ever. */
function exited(child: ChildProcess, name: string): Promise<readonly [number, string | null]> {
  const ended = new Promise<readonly [number, string | null]>((resolve, reject) => {
    child.once('error', (cause) => {
      reject(agentError('FLT_RUN_MISSING', { program: `${name} (${describeError(cause)})` }, { cause }))
    })
    child.once('exit', (code, signal) => {
      const done = (): void => {
        clearTimeout(patience)
        child.stdout?.destroy()
        child.stderr?.destroy()
        resolve([code ?? -1, signal])
      }
      const patience = setTimeout(done, 1000)
      child.once('close', done)
    })
  })
  // Whoever waits hears of it; until somebody does, it is no unhandled rejection.
  ended.catch(() => undefined)
  return ended
}

function collect(stream: ChildProcess['stdout'] | undefined, tooMuch: () => void): () => string {
  const parts: Buffer[] = []
  let bytes = 0
  stream?.on('data', (part: Buffer) => {
    bytes += part.length
    if (bytes > captureBytes) tooMuch()
    else parts.push(part)
  })
  return () => Buffer.concat(parts).toString('utf8')
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

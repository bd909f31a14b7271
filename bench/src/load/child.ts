import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** A program that the benchmark started and stops again. */
export interface Child {
  readonly pid: number
  /** Where it listens; 0 where it does not. */
  readonly port: number
  /** Resident memory in bytes, from /proc. */
  memory(): number
  /** The part of it that no file backs. */
  anonymousMemory(): number
  /** CPU used so far in milliseconds, its ended children included, from /proc. */
  cpuMs(): number
  /** Asks it to do something; resolves with what it answers to this call. */
  call<T>(method: string, args: readonly unknown[]): Promise<T>
  stop(): Promise<void>
}

const readyMs = 30_000
const keptText = 4000

/** Starts one entry of this bundle and waits for its port. */
export async function startEntry(name: string, env: Record<string, string> = {}): Promise<Child> {
  return startFile(fileURLToPath(new URL(`./${name}.js`, import.meta.url)), env)
}

/** Starts a program that sends `{ type: 'ready', port | url }` to its parent. Rejects with what it said where it ends or is silent for 30 s. */
export async function startFile(file: string, env: Record<string, string>): Promise<Child> {
  const { child, said } = spawnNode(file, env)
  const patience = new AbortController()
  const timeout = AbortSignal.any([patience.signal, AbortSignal.timeout(readyMs)])
  try {
    const first = await Promise.race([
      once(child, 'message', { signal: timeout }),
      once(child, 'exit', { signal: timeout }).then(() => undefined),
    ])
    if (!first) throw new Error('it ended')
    return asChild(child, portOf(first[0]))
  } catch (error) {
    await stop(child)
    throw new Error(`${file} did not start (${String(error)}): ${said()}`)
  } finally {
    patience.abort()
  }
}

/** Starts a program that tells nothing. */
export function startSilent(file: string, env: Record<string, string>): Child {
  return asChild(spawnNode(file, env).child, 0)
}

function spawnNode(file: string, env: Record<string, string>): { child: ChildProcess; said: () => string } {
  const child = fork(file, {
    env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', ...env },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let text = ''
  child.stderr?.on('data', (data) => {
    text = (text + String(data)).slice(-keptText)
  })
  return { child, said: () => text }
}

function asChild(child: ChildProcess, port: number): Child {
  const pid = child.pid ?? 0
  return {
    pid,
    port,
    memory: () => statusBytes(pid, 'VmRSS'),
    anonymousMemory: () => statusBytes(pid, 'RssAnon'),
    cpuMs: () => cpuMs(pid),
    call: createCalls(child),
    stop: () => stop(child),
  }
}

function createCalls(child: ChildProcess): Child['call'] {
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  let calls = 0
  child.on('message', (message: { call?: number; value?: unknown; error?: string }) => {
    if (message.call === undefined) return
    const call = waiting.get(message.call)
    waiting.delete(message.call)
    if (message.error === undefined) call?.resolve(message.value)
    else call?.reject(new Error(message.error))
  })
  child.on('exit', () => {
    for (const { reject } of waiting.values()) reject(new Error('The process ended before it answered.'))
    waiting.clear()
  })
  return <T>(method: string, args: readonly unknown[]) =>
    new Promise<T>((resolve, reject) => {
      const call = ++calls
      waiting.set(call, { resolve: (value) => resolve(value as T), reject })
      child.send({ call, method, args })
    })
}

function portOf(message: unknown): number {
  if (typeof message !== 'object' || message === null) return 0
  if ('port' in message && typeof message.port === 'number') return message.port
  return 'url' in message ? Number(new URL(String(message.url)).port) : 0
}

function statusBytes(pid: number, field: 'VmRSS' | 'RssAnon'): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(match?.[1] ?? Number.NaN) * 1024
}

/** utime, stime, cutime and cstime, in ticks of 10 ms. */
/** Its own threads to the nanosecond, as the scheduler counts them; children that ended in steps of 10 ms. */
function cpuMs(pid: number): number {
  const own = readdirSync(`/proc/${pid}/task`)
    .map((thread) => readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0])
    .reduce((sum, nanoseconds) => sum + Number(nanoseconds) / 1e6, 0)
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  const children = fields.slice(13, 15).reduce((sum, ticks) => sum + Number(ticks) * 10, 0)
  return Math.round(own + children)
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const force = setTimeout(() => child.kill('SIGKILL'), 15_000)
  await ended
  clearTimeout(force)
}

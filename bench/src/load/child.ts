import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface Child {
  readonly pid: number
  readonly port: number
  /** Resident memory in bytes, from /proc. */
  memory(): number
  /** CPU used so far in milliseconds, from /proc. */
  cpuMs(): number
  stop(): Promise<void>
}

/** Starts one entry of this bundle and waits for its port. */
export async function startEntry(name: string, env: Record<string, string> = {}): Promise<Child> {
  return startFile(fileURLToPath(new URL(`./${name}.js`, import.meta.url)), env)
}

/** Starts a program that sends `{ type: 'ready', port | url }` to its parent. */
export async function startFile(file: string, env: Record<string, string> = {}): Promise<Child> {
  const child = fork(file, {
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const [message] = (await once(child, 'message')) as [{ port?: number; url?: string }]
  const port = message.port ?? Number(new URL(message.url ?? 'http://127.0.0.1:0').port)
  const pid = child.pid ?? 0
  return { pid, port, memory: () => residentBytes(pid), cpuMs: () => cpuMs(pid), stop: () => stop(child) }
}

export function residentBytes(pid: number, field: 'VmRSS' | 'RssAnon' = 'VmRSS'): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(match?.[1] ?? 0) * 1024
}

function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
}

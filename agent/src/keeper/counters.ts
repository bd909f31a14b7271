import { randomBytes } from 'node:crypto'
import { open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { kill, pid } from 'node:process'
import { setTimeout as wait } from 'node:timers/promises'

/** The highest counter this host has seen of a plugin, and since when (Unix ms). */
export interface HighestCounter {
  readonly counter: number
  readonly sinceMs: number
}

export type Counters = ReadonlyMap<string, HighestCounter>

const patienceMs = 20_000

/** The counters of a store. Throws where the file is damaged: then nothing can be told to be no step back. */
export async function readCounters(store: string): Promise<Counters> {
  const text = await readFile(join(store, 'counters.json'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '{}'
    throw error
  })
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null) throw new Error('counters.json is damaged')
  const entries = Object.entries(value).map(([id, one]: [string, unknown]) => {
    if (!isHighest(one)) throw new Error('counters.json is damaged')
    return [id, one] as const
  })
  return new Map(entries)
}

/** Raises the counter of a plugin, durably, before anything of that version may run; a lower one changes nothing. */
export async function raiseCounter(store: string, id: string, counter: number, nowMs: number): Promise<void> {
  const unlock = await lock(join(store, 'counters.lock'))
  try {
    const counters = new Map(await readCounters(store))
    if ((counters.get(id)?.counter ?? 0) >= counter) return
    counters.set(id, { counter, sinceMs: nowMs })
    const temporary = join(store, `counters.${randomBytes(4).toString('hex')}.tmp`)
    await writeFile(temporary, `${JSON.stringify(Object.fromEntries(counters))}\n`, {
      mode: 0o644,
      flush: true,
    })
    await rename(temporary, join(store, 'counters.json'))
    await syncFolder(store)
  } finally {
    await unlock()
  }
}

/** Makes the entries of a folder survive a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Two keepers must not overwrite what the other raised. The lock of one that died is taken over. */
async function lock(file: string): Promise<() => Promise<void>> {
  const untilMs = Date.now() + patienceMs
  for (;;) {
    try {
      await writeFile(file, String(pid), { flag: 'wx' })
      return () => rm(file, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || Date.now() > untilMs) throw error
      const owner = Number(await readFile(file, 'utf8').catch(() => ''))
      // An empty file is one that its owner is just writing.
      if (owner > 0 && !isAlive(owner)) await rm(file, { force: true })
      else await wait(50)
    }
  }
}

function isAlive(owner: number): boolean {
  try {
    kill(owner, 0)
    return true
  } catch {
    return false
  }
}

function isHighest(value: unknown): value is HighestCounter {
  if (typeof value !== 'object' || value === null || !('counter' in value) || !('sinceMs' in value))
    return false
  return Number.isInteger(value.counter) && typeof value.sinceMs === 'number'
}

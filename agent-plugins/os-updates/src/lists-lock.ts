import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutorContext } from '@fleetupdate/sdk/executor'

export interface LockHolder {
  readonly pid: number
  readonly command: string
}

const path = '/var/lib/apt/lists/lock'
const defaultWaitMs = 600_000
const intervalMs = 1_000

/**
 * Waits, ten minutes at most, until no other process fetches the package index; `onWait` hears once who does. apt's own waiting
 * does not cover this lock: it gives up within milliseconds [m]. Nothing tells when the lock is released, so it is looked at once a second.
 * Answers also when it gave up: then apt's refusal names the holder.
 */
export async function waitForListsLock(
  context: Pick<ExecutorContext, 'root' | 'readFile' | 'signal'>,
  onWait: (holder: LockHolder) => void,
  waitMs = defaultWaitMs,
): Promise<void> {
  const end = performance.now() + waitMs
  let told = false
  while (performance.now() < end) {
    const holder = await lockHolder(context)
    if (holder === undefined) return
    if (!told) onWait(holder)
    told = true
    await delay(intervalMs, undefined, { signal: context.signal })
  }
}

/** From /proc/locks, by device and inode; a process of another namespace shows as pid 0 there and can't be named. */
async function lockHolder({
  root,
  readFile,
}: Pick<ExecutorContext, 'root' | 'readFile'>): Promise<LockHolder | undefined> {
  const file = await stat(join(root, path)).catch(() => undefined)
  if (file === undefined) return undefined
  const major = ((file.dev >> 8) & 0xfff).toString(16).padStart(2, '0')
  const minor = ((file.dev & 0xff) | ((file.dev >> 12) & 0xfff00)).toString(16).padStart(2, '0')
  const wanted = `${major}:${minor}:${file.ino}`
  for (const line of ((await readFile('/proc/locks')) ?? '').split('\n')) {
    const [, pid, found] = /^\d+: POSIX +\S+ +WRITE +(\d+) +(\S+) /.exec(line) ?? []
    if (found !== wanted || Number(pid) === 0) continue
    const command = ((await readFile(`/proc/${pid}/comm`)) ?? 'unknown').trim()
    return { pid: Number(pid), command }
  }
  return undefined
}

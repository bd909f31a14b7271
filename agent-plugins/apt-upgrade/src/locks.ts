import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutorContext } from '@fleetupdate/sdk/executor'

export interface LockHolder {
  readonly pid: number
  readonly command: string
}

const packageLocks = ['/var/lib/dpkg/lock-frontend', '/var/lib/dpkg/lock', '/var/cache/apt/archives/lock']
const defaultWaitMs = 600_000
const intervalMs = 1_000

/**
 * Waits, ten minutes at most, until no process holds a lock of the package system; `onWait` hears once who does. apt itself waits only
 * for dpkg's front-end lock: for the others, and dpkg for all, it gives up within milliseconds [m]. Nothing tells when such a lock is
 * released, so it is looked at once a second. Answers also when it gave up: then apt's own refusal names the holder.
 */
export async function waitForPackageLocks(
  context: Pick<ExecutorContext, 'root' | 'readFile' | 'signal'>,
  onWait: (holder: LockHolder) => void,
  waitMs = defaultWaitMs,
): Promise<void> {
  const end = performance.now() + waitMs
  let told = false
  while (performance.now() < end) {
    const holder = await packageLockHolder(context)
    if (holder === undefined) return
    if (!told) onWait(holder)
    told = true
    await delay(intervalMs, undefined, { signal: context.signal })
  }
}

/** Who holds a lock of the package system now, from /proc/locks; needs no privilege and no other program. */
export async function packageLockHolder({
  root,
  readFile,
}: Pick<ExecutorContext, 'root' | 'readFile'>): Promise<LockHolder | undefined> {
  const table = (await readFile('/proc/locks')) ?? ''
  for (const path of packageLocks) {
    const file = await stat(join(root, path)).catch(() => undefined)
    const pid = file === undefined ? undefined : lockOwner(table, file.dev, file.ino)
    if (pid === undefined) continue
    const command = ((await readFile(`/proc/${pid}/comm`)) ?? 'unknown').trim()
    return { pid, command }
  }
  return undefined
}

/** The process that holds a write lock on the file, in the text of /proc/locks; processes of other namespaces (pid 0) don't count. */
export function lockOwner(table: string, device: number, inode: number): number | undefined {
  const major = ((device >> 8) & 0xfff).toString(16).padStart(2, '0')
  const minor = ((device & 0xff) | ((device >> 12) & 0xfff00)).toString(16).padStart(2, '0')
  for (const line of table.split('\n')) {
    const [, pid, file] = /^\d+: POSIX +\S+ +WRITE +(\d+) +(\S+) /.exec(line) ?? []
    if (file === `${major}:${minor}:${inode}` && Number(pid) > 0) return Number(pid)
  }
  return undefined
}

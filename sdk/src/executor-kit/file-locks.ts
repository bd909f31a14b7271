import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { CommandContext, ExecutorContext } from '../contract/executor.ts'

export interface LockHolder {
  readonly pid: number
  readonly command: string
}

export interface LockWait {
  /** Absolute paths; what is waited for is that nobody holds any of them. */
  readonly files: readonly string[]
  /** Hears once who is in the way. */
  onWait(holder: LockHolder): void
  /** Default: ten minutes. */
  readonly waitMs?: number
}

const defaultWaitMs = 600_000
const intervalMs = 1_000

/**
 * Waits until no process holds a POSIX write lock on these files. Nothing tells when such a lock is released, so it is looked at once a second; each
 * look is a checkpoint of a command. Resolves also when it gave up: then the program's own refusal names the holder. Rejects when the attempt is aborted or cancelled.
 *
 * @example
 * await waitForLocks(context, { files: ['/var/lib/dpkg/lock'], onWait: ({ command }) => context.write(`Waiting for ${command}\n`) })
 */
export async function waitForLocks(
  context: Pick<ExecutorContext, 'root' | 'readFile' | 'signal'> &
    Partial<Pick<CommandContext, 'checkpoint'>>,
  { files, onWait, waitMs = defaultWaitMs }: LockWait,
): Promise<void> {
  const end = performance.now() + waitMs
  let told = false
  while (performance.now() < end) {
    const holder = await lockHolder(context, files)
    if (holder === undefined) return
    if (!told) onWait(holder)
    told = true
    await delay(intervalMs, undefined, { signal: context.signal })
    context.checkpoint?.()
  }
}

/** Who holds a lock on one of these files now, from /proc/locks; needs no privilege and no other program. */
export async function lockHolder(
  { root, readFile }: Pick<ExecutorContext, 'root' | 'readFile'>,
  files: readonly string[],
): Promise<LockHolder | undefined> {
  const table = (await readFile('/proc/locks')) ?? ''
  for (const path of files) {
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

import { readFileSync } from 'node:fs'
import type { ProcessRecord } from './schemas.ts'

/** What tells one process apart from all others, also after a reboot; undefined where it is gone. Linux only. */
export function recordOf(pid: number): ProcessRecord | undefined {
  const stat = readStat(pid)
  if (stat === undefined) return undefined
  return { pid, startTicks: stat.startTicks, bootId: readBootId(), bootedAt: readBootTime() }
}

/** Whether exactly this process still runs; a zombie does not. */
export function isRunning(record: ProcessRecord): boolean {
  if (!isOfThisBoot(record)) return false
  const stat = readStat(record.pid)
  return stat !== undefined && stat.startTicks === record.startTicks && stat.state !== 'Z'
}

/**
 * A container may show one boot id to a service in a sandbox and another to one outside of it [m: systemd-nspawn], but the time of boot
 * is the same: it moves only when somebody sets the clock.
 */
function isOfThisBoot({ bootId, bootedAt }: ProcessRecord): boolean {
  return bootId === readBootId() || (bootedAt !== undefined && Math.abs(bootedAt - readBootTime()) <= 1)
}

/** Changes at every boot of the kernel; '' where the kernel does not tell. */
export function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
  }
}

/** Seconds since 1970; 0 where the kernel does not tell. */
function readBootTime(): number {
  try {
    return Number(/^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

function readStat(pid: number): { state: string; startTicks: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name of the program may hold spaces and brackets: what is wanted stands after the last bracket.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { state: fields[0] ?? '', startTicks: fields[19] ?? '' }
  } catch {
    return undefined
  }
}

import { readFileSync } from 'node:fs'
import { kill } from 'node:process'
import { errorCode } from './errors.ts'
import type { ProcessRecord } from './schemas.ts'

/** What tells one process apart from all others, also after a reboot; undefined where it is gone. Linux only. */
export function recordOf(pid: number): ProcessRecord | undefined {
  const stat = readStat(pid)
  return stat === undefined ? undefined : { pid, startTicks: stat.startTicks, bootId: readBootId() }
}

/** Whether exactly this process still runs; a zombie does not. */
export function isRunning(record: ProcessRecord): boolean {
  if (record.bootId !== readBootId()) return false
  const stat = readStat(record.pid)
  return stat !== undefined && stat.startTicks === record.startTicks && stat.state !== 'Z'
}

/**
 * The same for a program of root, which is hidden from a process behind ProtectProc=: that something has its number is seen all the same.
 * Where a number was given anew meanwhile, this errs towards "runs".
 */
export function mayStillRun(record: ProcessRecord): boolean {
  if (readStat(record.pid) !== undefined) return isRunning(record)
  try {
    return kill(record.pid, 0) && record.bootId === readBootId()
  } catch (error) {
    return errorCode(error) === 'EPERM' && record.bootId === readBootId()
  }
}

/** Changes at every boot of the kernel; '' where the kernel does not tell. */
export function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
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

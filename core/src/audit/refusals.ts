import type { Log } from '@fleetupdate/sdk'
import type { AuditEntry } from './entry.ts'

/** Refusals on their way into the audit, bounded: a flood of them can neither fill the disk nor hide the others for long. */
export interface Refusals {
  add(entry: AuditEntry): void
  /** Writes what was only counted. */
  dispose(): Promise<void>
}

const windowMs = 10 * 60_000
const rowsPerAction = 25
const rowsInAll = 200

/** In each ten minutes at most 25 rows per action and 200 in all; what is beyond becomes one row `refusals.counted` at their end. */
export function createRefusals(deps: {
  write(entry: AuditEntry): Promise<void>
  readonly log: Log
  readonly now: () => number
}): Refusals {
  const { write, log, now } = deps
  const rows = new Map<string, number>()
  const omitted = new Map<string, number>()
  let windowEndMs = now() + windowMs
  const underway = new Set<Promise<void>>()

  const keep = (entry: AuditEntry): void => {
    const done = write(entry)
      .catch((error: unknown) => log.error('A refusal could not be audited', { error: String(error) }))
      .finally(() => underway.delete(done))
    underway.add(done)
  }
  const endWindow = (): void => {
    windowEndMs = now() + windowMs
    rows.clear()
    if (omitted.size === 0) return
    keep({
      actor: { type: 'server', id: '' },
      action: 'refusals.counted',
      details: Object.fromEntries(omitted),
    })
    omitted.clear()
  }
  const timer = setInterval(endWindow, windowMs)
  timer.unref()

  return {
    add(entry) {
      if (now() >= windowEndMs) endWindow()
      const count = rows.get(entry.action) ?? 0
      const total = [...rows.values()].reduce((sum, each) => sum + each, 0)
      if (count >= rowsPerAction || total >= rowsInAll) {
        omitted.set(entry.action, (omitted.get(entry.action) ?? 0) + 1)
        return
      }
      rows.set(entry.action, count + 1)
      keep(entry)
    },
    async dispose() {
      clearInterval(timer)
      endWindow()
      await Promise.all(underway)
    },
  }
}

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CommandContext } from '@fleetupdate/sdk/executor'
import { parseAptStatus } from './apt-status.ts'
import type { FailureEvidence } from './failure.ts'
import { type Following, followLines } from './follow-lines.ts'

export type Phase = 'download' | 'install'

/** The share of the bar that a phase fills, in percent. */
const shares: Readonly<Record<Phase, { from: number; to: number }>> = {
  download: { from: 0, to: 25 },
  install: { from: 25, to: 100 },
}

/** Reports one phase of an upgrade while its program runs, and keeps the errors of single packages. */
export interface PhaseProgress extends Following {
  /** For `RunOptions.statusFile`. */
  readonly statusFile: string
  readonly errors: FailureEvidence['errors']
}

/** Follows apt's status file while a phase runs. */
export async function followPhase(phase: Phase, context: CommandContext): Promise<PhaseProgress> {
  const report = createReporter(phase, context)
  report(0, phase === 'download' ? 'Downloading' : 'Installing')
  const statusFile = join(context.directory, `apt-status-${phase}`)
  await writeFile(statusFile, '', { mode: 0o600 })
  const errors: { package: string; message: string }[] = []
  const following = await followLines(statusFile, (line) => {
    const status = parseAptStatus(line)
    if (status?.kind === 'error') errors.push({ package: status.package, message: status.message })
    if (status?.kind === phase) report(status.percent, status.message)
  })
  return { statusFile, errors, stop: following.stop }
}

/** Turns percent of a phase into percent of the whole, whole numbers that never fall. */
function createReporter(phase: Phase, context: CommandContext): (percent: number, message: string) => void {
  const { from, to } = shares[phase]
  let highest = from
  return (percent, message) => {
    highest = Math.max(highest, Math.round(from + ((to - from) * percent) / 100))
    context.progress({ percent: highest, message })
  }
}

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { PackageChange } from '@fleetupdate/plugin-apt-upgrade/contract'
import type { CommandContext } from '@fleetupdate/sdk/executor'
import { parseAptStatus } from './apt-status.ts'
import { createDpkgLogReader } from './dpkg-log.ts'
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
  /** For `RunOptions.statusFile`; absent where the program can't be given a descriptor. */
  readonly statusFile?: string
  readonly errors: FailureEvidence['errors']
}

/**
 * Follows apt's status file where the agent itself is root. Else sudo closes the descriptor, and the installation is followed
 * in dpkg's log; of a download then only the beginning and the end are known.
 */
export async function followPhase(
  phase: Phase,
  planned: readonly PackageChange[],
  way: 'status' | 'log',
  context: CommandContext,
): Promise<PhaseProgress> {
  const report = createReporter(phase, context)
  report(0, phase === 'download' ? 'Downloading' : 'Installing')
  if (way === 'log') {
    if (phase === 'download') return { errors: [], stop: async () => {} }
    const read = createDpkgLogReader(planned)
    const following = await followLines(join(context.root, '/var/log/dpkg.log'), 'end', (line) => {
      const step = read(line)
      if (step !== undefined) report(step.percent, step.message)
    })
    return { errors: [], stop: following.stop }
  }
  const statusFile = join(context.directory, `apt-status-${phase}`)
  await writeFile(statusFile, '', { mode: 0o600 })
  const errors: { package: string; message: string }[] = []
  const following = await followLines(statusFile, 'start', (line) => {
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

import {
  type AttemptFolder,
  claimAttempt,
  readClaim,
  readEnding,
  readRunnerLog,
  restoreFolder,
  runningPrograms,
  writeEnding,
} from './attempts.ts'
import type { JournalEntry } from './journal.ts'
import { signalGroup } from './run.ts'

/**
 * Ends an attempt whose runner is gone, as `interrupted`, with the output so far. One that nobody claimed within the agent's patience is claimed
 * first, so that a late runner finds it taken. Programs the runner left behind are stopped, or, where they must not be (dpkg), waited for.
 */
export async function burySilentAttempt(entry: JournalEntry, impatient: boolean): Promise<void> {
  const { folder, startedAt } = entry
  if (await restoreFolder(folder, startedAt)) return bury(entry, folderGone)
  const claim = await readClaim(folder)
  if (claim === 'running') return
  if (claim === 'nobody') {
    if (!impatient || !(await claimAttempt(folder))) return
    const said = await readRunnerLog(folder)
    return bury(
      entry,
      `The agent or the machine stopped before the command began.${said === '' ? '' : ` ${said}`}`,
    )
  }
  // The runner writes its result before it ends: look once more, now that it surely is gone.
  if ((await readEnding(folder)) !== undefined) return
  if (await stopPrograms(folder)) return
  const said = await readRunnerLog(folder)
  await bury(
    entry,
    `The command was interrupted: its process ended without a result.${said === '' ? '' : ` ${said}`}`,
  )
}

/** Why nobody can say how an attempt ended. */
export const folderGone = 'Its folder was removed from the disk: nobody can say how it ended.'

/** True while some of them still run. */
async function stopPrograms(folder: AttemptFolder): Promise<boolean> {
  const programs = await runningPrograms(folder)
  for (const program of programs) if (program.keep !== true) signalGroup(program, 'SIGTERM')
  return programs.length > 0
}

function bury({ folder, startedAt, damage }: JournalEntry, what: string): Promise<void> {
  const finishedAt = new Date().toISOString()
  const reason = `${what} ${damage}`.trim()
  return writeEnding(folder, { state: 'interrupted', reason: reason.slice(0, 4000), startedAt, finishedAt })
}

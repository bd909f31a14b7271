import { copyFile, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { checkedInName, readCheckedIn } from '../checked-in.ts'
import type { UpdateOutcome, UpdateTrial } from '../schemas.ts'
import type { UpdatePaths } from './paths.ts'
import { createUpdateRecords } from './records.ts'
import { createVersions } from './versions.ts'

/** What a trial asks of systemd. */
export interface Service {
  reload(): Promise<void>
  /** Starts the agent anew; does not wait until it is up. */
  restart(): Promise<void>
  /** How often systemd had to start it again by itself. */
  restarts(): Promise<number>
  lastWords(): Promise<string>
}

export interface TrialOptions {
  readonly paths: UpdatePaths
  readonly service: Service
  /** How long the new version may take until its server has let it in. */
  readonly patienceMs: number
}

const lookMs = 500
/** So often a version may fall over before it is not waited for any more. */
const crashes = 4

/**
 * Makes the new version the current one and waits until its server lets it in; else the old one comes back. It can be cut off anywhere, by a crash or by a power
 * cut, and be called again: it goes on from what is on the disk. It runs from the old version's files. undefined: there was no trial.
 */
export async function runTrial({
  paths,
  service,
  patienceMs,
}: TrialOptions): Promise<UpdateOutcome | undefined> {
  const records = createUpdateRecords(paths.records)
  const versions = createVersions(paths.programs)
  const trial = await records.trial()
  if (!trial) return undefined

  const switchTo = async (version: string): Promise<void> => {
    const changed = await copyUnits(join(paths.programs, version, 'systemd'), paths.units)
    await versions.point('current', version)
    if (changed) await service.reload()
    await rm(join(paths.state, checkedInName), { force: true })
    await service.restart()
  }
  const end = async (result: UpdateOutcome['result'], reason?: string): Promise<UpdateOutcome> => {
    const { id, from, to } = trial
    const outcome = {
      id,
      from,
      to,
      result,
      at: new Date().toISOString(),
      ...(reason === undefined ? {} : { reason }),
    }
    await records.end(outcome)
    return outcome
  }

  if (!(await hasCheckedIn(paths, trial, versions.current))) {
    await switchTo(trial.to)
    const problem = await waitForCheckIn(trial.to, { paths, service, patienceMs })
    if (problem !== undefined) {
      await switchTo(trial.from)
      await versions.remove(trial.to)
      return end('rolled-back', problem)
    }
  }
  await forgetOlder(paths.programs, [trial.from, trial.to], versions.remove)
  return end('updated')
}

/** After a cut it may have been let in already. */
async function hasCheckedIn(
  { state }: UpdatePaths,
  { to }: UpdateTrial,
  current: () => Promise<string>,
): Promise<boolean> {
  return (await current()) === to && (await readCheckedIn(state))?.version === to
}

/** What went wrong; undefined: it was let in. */
async function waitForCheckIn(
  version: string,
  { paths, service, patienceMs }: TrialOptions,
): Promise<string | undefined> {
  const until = performance.now() + patienceMs
  let seen = 0
  let last = await service.restarts()
  while (performance.now() < until) {
    if ((await readCheckedIn(paths.state))?.version === version) return undefined
    const now = await service.restarts()
    // systemd begins to count anew with each restart that was asked for.
    seen += Math.max(0, now - last)
    last = now
    if (seen >= crashes) return `${version} ended again and again: ${await service.lastWords()}`
    await pause(lookMs)
  }
  return `${version} did not reach its server within ${Math.round(patienceMs / 1000)} s: ${await service.lastWords()}`
}

/** Whether any differed. Units that only one version has are left: what is not asked for does no harm. */
async function copyUnits(from: string, to: string): Promise<boolean> {
  let changed = false
  for (const name of await readdir(from).catch(() => [])) {
    const [wanted, found] = await Promise.all([
      readFile(join(from, name)),
      readFile(join(to, name)).catch(() => undefined),
    ])
    if (found?.equals(wanted)) continue
    await copyFile(join(from, name), join(to, `.${name}.new`))
    await rename(join(to, `.${name}.new`), join(to, name))
    changed = true
  }
  return changed
}

async function forgetOlder(
  folder: string,
  keep: readonly string[],
  remove: (version: string) => Promise<void>,
): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (!entry.isDirectory() || keep.includes(entry.name)) continue
    // Only what was installed as a version: the folder may hold files of the first FleetUpdate.
    const isVersion = await readFile(join(folder, entry.name, 'VERSION')).then(
      () => true,
      () => false,
    )
    if (isVersion) await remove(entry.name)
  }
}

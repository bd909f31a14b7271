import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '@fleetupdate/sdk'
import { createCheck } from './check.ts'
import { readJson } from './durable-file.ts'
import { describeError } from './errors.ts'
import { CheckedInFile } from './schemas.ts'

/** Where the agent says that a server let it in: read by the installer, the updater and `doctor`. */
export const checkedInName = 'checked-in.json'

export interface CheckedIn {
  readonly version: string
  /** ISO 8601. */
  readonly at: string
  readonly serverUrl: string
  /** PEM of the authorities of agent.ca_file, for whoever asks that server on this machine. */
  readonly ca?: string
}

const check = createCheck(CheckedInFile)

/** What the file says; undefined where there is none that fits. */
export function readCheckedIn(stateDir: string): Promise<CheckedIn | undefined> {
  return readJson(join(stateDir, checkedInName), check)
}

/** Writes it whole. It is a hint for programs on this machine: that it cannot be written stops nothing. */
export async function writeCheckedIn(stateDir: string, checkedIn: CheckedIn, log: Log): Promise<void> {
  const path = join(stateDir, checkedInName)
  try {
    await writeFile(`${path}.tmp`, `${JSON.stringify(checkedIn)}\n`, { mode: 0o600 })
    await rename(`${path}.tmp`, path)
  } catch (error) {
    log.warn(`${path} cannot be written: ${describeError(error)}`)
  }
}

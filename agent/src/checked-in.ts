import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '@fleetupdate/sdk'
import { describeError } from './errors.ts'

/** Where the agent says that a server let it in: read by the installer, the updater and `doctor`. */
export const checkedInName = 'checked-in.json'

export interface CheckedIn {
  readonly version: string
  /** ISO 8601. */
  readonly at: string
  readonly serverUrl: string
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

import type { Targets } from '@fleetupdate/sdk/panel'
import { shallowRef } from 'vue'

export interface RunRequest {
  /** Chosen already; else the person chooses. */
  readonly command?: string
  readonly input?: unknown
  readonly targets?: Targets
  /** How many agents the targets are. */
  readonly count?: number
}

/** What the run dialog is asked to run now. */
export const runRequest = shallowRef<RunRequest>()

/** Opens the dialog that runs a command: which one, for whom, with what input. */
export function openRun(request: RunRequest): void {
  runRequest.value = request
}

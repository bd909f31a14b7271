import { stat } from 'node:fs/promises'
import { performance } from 'node:perf_hooks'
import type { PrivilegeState } from '@fleetupdate/sdk'

/** Asking sudo costs a process: the answer is kept until something that could change it changed, ten minutes at most. */
export interface ProbeMemory {
  probe(): Promise<readonly PrivilegeState[]>
  /** The next probe asks anew. */
  forget(): void
}

const keptMs = 600_000

/** Remembers what `probe` answered as long as these files stay as they are. */
export function createProbeMemory(
  probe: () => Promise<readonly PrivilegeState[]>,
  files: readonly string[],
): ProbeMemory {
  let known: { states: readonly PrivilegeState[]; atMs: number; print: string } | undefined
  return {
    async probe() {
      const print = await fingerprint(files)
      if (known?.print === print && performance.now() - known.atMs < keptMs) return known.states
      known = { states: await probe(), atMs: performance.now(), print }
      return known.states
    },
    forget() {
      known = undefined
    },
  }
}

async function fingerprint(files: readonly string[]): Promise<string> {
  const times = await Promise.all(
    files.map((file) =>
      stat(file).then(
        (one) => one.mtimeMs,
        () => 0,
      ),
    ),
  )
  return times.join(' ')
}

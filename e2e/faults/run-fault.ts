import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { copyBuild } from './build.ts'
import type { Fault, Lab, Size, Verdict } from './fault.ts'
import { createRandom } from './random.ts'
import { NoFleet } from './rig.ts'

export interface FaultOptions {
  readonly size: Size
  readonly seed: number
  readonly note?: (text: string) => void
  /** `sabotaged`: against a build that is broken on purpose. */
  readonly build?: 'as-it-is' | 'sabotaged'
}

/** Runs one fault from a clean folder; whatever it started is ended. What it throws becomes a failed verdict. */
export async function runFault(
  fault: Fault,
  options: FaultOptions,
): Promise<Verdict & { readonly seconds: number }> {
  const { size, seed, note = () => undefined, build: manner = 'as-it-is' } = options
  const began = performance.now()
  const endings: (() => unknown)[] = []
  running = { endings, note }
  const folder = await mkdtemp(join(tmpdir(), 'faults-'))
  endings.push(() => rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }))
  // Outside of the verdict: a break that does not apply proves nothing.
  const build = await copyBuild(manner === 'sabotaged' ? fault.sabotage : undefined)
  endings.push(build.dispose)
  let verdict: Verdict
  try {
    const lab: Lab = {
      size,
      random: createRandom(seed),
      scale: (numbers) => numbers[size],
      note,
      onEnd: (dispose) => void endings.push(dispose),
      isSabotaged: manner === 'sabotaged',
      build,
      folder,
    }
    verdict = await fault.run(lab)
  } catch (error) {
    if (error instanceof NoFleet && manner === 'sabotaged') throw error
    verdict = { passed: false, reached: error instanceof Error ? error.message : String(error) }
    note(error instanceof Error ? (error.stack ?? '') : '')
  }
  await endRunning()
  return { ...verdict, seconds: (performance.now() - began) / 1000 }
}

let running: { readonly endings: (() => unknown)[]; readonly note: (text: string) => void } | undefined

/** Ends what the fault that runs now has started, in reverse order, and removes its folders. */
export async function endRunning(): Promise<void> {
  const { endings, note } = running ?? { endings: [], note: () => undefined }
  for (const end of endings.splice(0).reverse())
    await Promise.resolve()
      .then(end)
      .catch((error: unknown) => note(`Something was not cleaned up: ${String(error)}`))
}

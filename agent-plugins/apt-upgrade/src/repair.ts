import type { CommandContext } from '@fleetupdate/sdk/executor'
import {
  type Invocation,
  packageEnvironment,
  reinstall,
  repairDependencies,
  repairDpkg,
} from './apt-commands.ts'
import { keepingMarks } from './automatic-marks.ts'
import { packageStates } from './dpkg-state.ts'
import { explainFailure } from './failure.ts'
import { anyExitCode } from './process-result.ts'

/**
 * Finishes what an interrupted dpkg left: configures, then installs anew what is broken [m: 2 of 50 kills], then completes missing
 * dependencies; each step only while something is left. Answers why the last of them failed, `undefined` where nothing is left. Is never
 * interrupted itself.
 */
export async function repair(context: CommandContext): Promise<string | undefined> {
  const configured = await attempt(repairDpkg, context)
  const { broken, unfinished } = await packageStates(context)
  if (unfinished.length === 0) return undefined
  const renewed =
    broken.length === 0
      ? configured
      : await keepingMarks(broken, context, () => attempt(reinstall(broken), context))
  if ((await packageStates(context)).unfinished.length === 0) return undefined
  const completed = await attempt(repairDependencies, context)
  if ((await packageStates(context)).unfinished.length === 0) return undefined
  return completed ?? renewed
}

async function attempt({ program, args }: Invocation, context: CommandContext): Promise<string | undefined> {
  const finished = await context.run(program, args, {
    env: packageEnvironment,
    okCodes: anyExitCode,
    onAbort: 'never',
  })
  return finished.exitCode === 0 ? undefined : explainFailure({ text: finished.tail ?? '', errors: [] })
}

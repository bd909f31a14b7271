import type { UpgradeInput, UpgradeResult } from '@fleetupdate/plugin-apt-upgrade/contract'
import type { CommandContext } from '@fleetupdate/sdk/executor'
import {
  download,
  type Invocation,
  markAutomatic,
  packageEnvironment,
  repairDependencies,
  repairDpkg,
  type StatusFd,
  upgrade,
} from './apt-commands.ts'
import { changedPackages, installedVersions, isInterrupted } from './dpkg-state.ts'
import { explainFailure } from './failure.ts'
import { waitForPackageLocks } from './locks.ts'
import { makePlan, type Plan, PlanFailed } from './plan.ts'
import { anyExitCode } from './process-result.ts'
import { followPhase, type Phase } from './upgrade-progress.ts'

/**
 * Repairs dpkg where it was interrupted, downloads, installs, and answers what really changed. Stops only between these steps. A plan
 * that does not hold any more ends it before anything is changed.
 */
export async function runUpgrade(input: UpgradeInput, context: CommandContext): Promise<UpgradeResult> {
  await waitForPackageLocks(context, ({ pid, command }) => {
    context.progress({ message: `Waiting for process ${pid} (${command})` })
    context.write(`Waiting: the package system is in use by process ${pid} (${command}).\n`)
  })
  context.checkpoint()
  const before = await installedVersions(context)
  const plan = await planAndRepair(input, context)
  if (plan.scope === 'nothing') context.write('Nothing to upgrade.\n')
  else await takeUpgrades(plan, plan.scope, context)
  const packages = changedPackages(before, await installedVersions(context), plan.packages)
  context.progress({ percent: 100, message: 'Done' })
  return { packages, planHash: plan.planHash, kept: [...plan.kept] }
}

async function planAndRepair(input: UpgradeInput, context: CommandContext): Promise<Plan> {
  if (!(await isInterrupted(context))) return holding(await planOrFail(input, context), context)
  const asFound = await makePlan(input, context).catch(unlessRefused)
  if (asFound !== undefined) holding(asFound, context)
  context.progress({ message: 'Repairing an interrupted installation' })
  context.write('An earlier installation was interrupted; it is finished first.\n')
  // Its failure is no verdict: what still stands in the way is named by the next step.
  await privileged(repairDpkg, context)
  if ((await makePlan(input, context).catch(unlessRefused)) === undefined) {
    await privileged(repairDependencies, context)
  }
  context.checkpoint()
  return holding(await planOrFail(input, context), context)
}

async function planOrFail(input: UpgradeInput, context: CommandContext): Promise<Plan> {
  return makePlan(input, context).catch((error: unknown) => {
    if (error instanceof PlanFailed) context.fail(error.message, { exitCode: error.exitCode })
    throw error
  })
}

function unlessRefused(error: unknown): undefined {
  if (!(error instanceof PlanFailed)) throw error
}

/** The plan, where it is the one that was agreed to. */
function holding(plan: Plan, context: CommandContext): Plan {
  if (context.precondition === undefined || context.precondition === plan.planHash) return plan
  return context.fail(
    'precondition: The plan no longer holds; what would change is not what was agreed to. No package was upgraded. Make a new plan.',
  )
}

async function takeUpgrades(
  plan: Plan,
  scope: 'all' | readonly string[],
  context: CommandContext,
): Promise<void> {
  const statusFd: StatusFd = process.getuid?.() === 0 ? 3 : -1
  await runPhase('download', download(scope, statusFd), plan, context)
  context.checkpoint()
  const automatic = scope === 'all' ? [] : await automaticAmong(scope, context)
  try {
    await runPhase('install', upgrade(scope, statusFd), plan, context)
  } finally {
    if (scope !== 'all') await restoreMarks(automatic, scope, context)
  }
}

async function runPhase(
  phase: Phase,
  { program, args }: Invocation,
  plan: Plan,
  context: CommandContext,
): Promise<void> {
  const way = args.includes('APT::Status-Fd=3') ? 'status' : 'log'
  const progress = await followPhase(phase, plan.packages, way, context)
  const finished = await context
    .run(program, args, {
      env: packageEnvironment,
      okCodes: anyExitCode,
      onAbort: phase === 'install' ? 'never' : 'terminate',
      ...(progress.statusFile === undefined ? {} : { statusFile: progress.statusFile }),
    })
    .finally(progress.stop)
  if (finished.exitCode === 0 && finished.signal === null) return
  context.checkpoint()
  const reason = explainFailure({ text: finished.tail ?? '', errors: progress.errors })
  context.fail(reason, { exitCode: finished.exitCode })
}

async function privileged({ program, args }: Invocation, context: CommandContext): Promise<void> {
  await context.run(program, args, { env: packageEnvironment, okCodes: anyExitCode, onAbort: 'never' })
}

async function automaticAmong(names: readonly string[], context: CommandContext): Promise<string[]> {
  const { stdout } = await context.run('apt-mark', ['showauto', '--', ...names], { output: 'capture' })
  return stdout.split('\n').filter((line) => line !== '')
}

/** `apt-get install NAME` makes a package count as wanted by a person: it would never be removed with what needed it. */
async function restoreMarks(
  automatic: readonly string[],
  names: readonly string[],
  context: CommandContext,
): Promise<void> {
  if (automatic.length === 0) return
  const still = new Set(await automaticAmong(names, context))
  const lost = automatic.filter((name) => !still.has(name))
  if (lost.length > 0) await privileged(markAutomatic(lost), context)
}

import type { UpgradeInput, UpgradeResult } from '@fleetupdate/plugin-apt-upgrade/contract'
import { type CommandContext, waitForLocks } from '@fleetupdate/sdk/executor'
import { download, type Invocation, packageEnvironment, type Scope, upgrade } from './apt-commands.ts'
import { keepingMarks } from './automatic-marks.ts'
import { describePlan } from './describe-plan.ts'
import { changedPackages, hasJournal, packageStates } from './dpkg-state.ts'
import { explainFailure } from './failure.ts'
import { makePlan, type Plan, PlanFailed } from './plan.ts'
import { anyExitCode } from './process-result.ts'
import { repair } from './repair.ts'
import { followPhase, type Phase } from './upgrade-progress.ts'

/** apt itself waits only for the first; for the others, and dpkg for all, it gives up within milliseconds [m]. */
const packageLocks = ['/var/lib/dpkg/lock-frontend', '/var/lib/dpkg/lock', '/var/cache/apt/archives/lock']

/**
 * Repairs dpkg where it was interrupted, downloads, installs, and answers what really changed. Stops only between these steps. A plan
 * that does not hold any more ends it before anything is changed; so does a package that can't be repaired, at the end.
 */
export async function runUpgrade(input: UpgradeInput, context: CommandContext): Promise<UpgradeResult> {
  await waitForLocks(context, {
    files: packageLocks,
    onWait({ pid, command }) {
      context.progress({ message: `Waiting for process ${pid} (${command})` })
      context.write(`Waiting: the package system is in use by process ${pid} (${command}).\n`)
    },
  })
  context.checkpoint()
  const before = await packageStates(context)
  const interrupted = before.unfinished.length > 0 || (await hasJournal(context.root))
  const obstacle = interrupted ? await repairFirst(input, context) : undefined
  const plan = holding(await planOrFail(input, context), context)
  const leftOut = plan.kept.filter(({ reason }) => reason === 'policy')
  if (leftOut.length > 0) context.write(describePlan(plan.packages, leftOut))
  if (plan.scope === 'nothing') context.write('Nothing to upgrade.\n')
  else await takeUpgrades(plan.scope, context)
  const after = await packageStates(context)
  if (after.unfinished.length > 0) {
    const names = after.unfinished.slice(0, 20).join(', ')
    context.fail(`Not completely installed: ${names}. ${obstacle ?? 'See the output.'}`)
  }
  context.progress({ percent: 100, message: 'Done' })
  const packages = changedPackages(before.installed, after.installed, plan.packages)
  return { packages, planHash: plan.planHash, kept: [...plan.kept] }
}

/** Answers why something may be left that could not be repaired. */
async function repairFirst(input: UpgradeInput, context: CommandContext): Promise<string | undefined> {
  const asFound = await makePlan(input, context).catch(unlessRefused)
  if (asFound !== undefined) holding(asFound, context)
  context.progress({ message: 'Repairing an interrupted installation' })
  context.write('An earlier installation was interrupted; it is finished first.\n')
  const obstacle = await repair(context)
  context.checkpoint()
  return obstacle
}

async function planOrFail(input: UpgradeInput, context: CommandContext): Promise<Plan> {
  return makePlan(input, context).catch((error: unknown) => {
    if (error instanceof PlanFailed) context.fail(error.message, error.details)
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

async function takeUpgrades(scope: Scope, context: CommandContext): Promise<void> {
  await runPhase('download', download(scope), context)
  context.checkpoint()
  const install = () => runPhase('install', upgrade(scope), context)
  if (scope === 'all') await install()
  else await keepingMarks(scope, context, install)
}

async function runPhase(phase: Phase, { program, args }: Invocation, context: CommandContext): Promise<void> {
  const progress = await followPhase(phase, context)
  const finished = await context
    .run(program, args, {
      env: packageEnvironment,
      okCodes: anyExitCode,
      onAbort: phase === 'install' ? 'never' : 'terminate',
      statusFile: progress.statusFile,
    })
    .finally(progress.stop)
  if (finished.exitCode === 0 && finished.signal === null) return
  context.checkpoint()
  const reason = explainFailure({ text: finished.tail ?? '', errors: progress.errors })
  context.fail(reason, { exitCode: finished.exitCode })
}

import { createHash } from 'node:crypto'
import type { KeptPackage, PackageChange, UpgradeInput } from '@fleetupdate/plugin-apt-upgrade/contract'
import type { CommandContext } from '@fleetupdate/sdk/executor'
import { type Scope, simulate as simulation } from './apt-commands.ts'
import { explainFailure } from './failure.ts'
import { type PackagePolicy, parsePolicies } from './policy.ts'
import { anyExitCode } from './process-result.ts'
import { parseSimulation, type Simulation } from './simulation.ts'
import { withoutExcluded } from './without-excluded.ts'

/** What an upgrade would do now, and what to ask apt for to have exactly that done. */
export interface Plan {
  readonly packages: readonly PackageChange[]
  readonly kept: readonly KeptPackage[]
  readonly planHash: string
  /** `nothing` where apt need not be started at all. */
  readonly scope: Scope | 'nothing'
}

/** There is no plan; the message is a reason for people, `details` apt's exit code where it refused. */
export class PlanFailed extends Error {
  constructor(
    message: string,
    readonly details: { readonly exitCode?: number } = {},
  ) {
    super(message)
  }
}

/** Simulates the upgrade and changes nothing. Throws {@link PlanFailed} where apt refuses. */
export async function makePlan(input: UpgradeInput, context: CommandContext): Promise<Plan> {
  const held = new Set(await lines(context, 'apt-mark', ['showhold']))
  const simulate = createSimulate(context)
  const { scope, leftOut } = await chooseScope(input, held, context, simulate)
  const foreseen = scope === 'nothing' ? nothing : await simulate(scope)
  const policies = await readPolicies(
    [...foreseen.changes.map(({ name }) => name), ...foreseen.kept],
    context,
  )
  const packages = foreseen.changes.map((change) => ({
    ...change,
    ...(policies.get(change.name)?.security ? { security: true } : {}),
  }))
  const asked = new Set(input.mode === 'selected' ? input.packages : [])
  const kept = new Set([...foreseen.kept, ...[...held].filter((name) => asked.has(name)), ...leftOut])
  const reasons = [...kept].sort().map(async (name) => {
    const byPolicy = leftOut.includes(name) || (await context.excludes(name))
    return { name, reason: keptReason(name, byPolicy, held, foreseen, policies) }
  })
  return {
    packages,
    kept: await Promise.all(reasons),
    planHash: planHash(packages),
    scope: packages.length === 0 ? 'nothing' : scope,
  }
}

/** The same for the same changes, whatever their order; SHA-256 in hex. */
export function planHash(packages: readonly PackageChange[]): string {
  const changes = packages.map(({ name, from, to }) => JSON.stringify([name, from, to])).sort()
  return createHash('sha256').update(changes.join('\n')).digest('hex')
}

const nothing: Simulation = { changes: [], removals: [], kept: [], deferred: [] }

interface Choice {
  readonly scope: Scope | 'nothing'
  /** Not upgraded because of the machine's policy. */
  readonly leftOut: readonly string[]
}

async function chooseScope(
  input: UpgradeInput,
  held: ReadonlySet<string>,
  context: CommandContext,
  simulate: Simulate,
): Promise<Choice> {
  // A held package named to apt would stop the whole operation.
  const wanted =
    input.mode === 'selected'
      ? [...new Set(input.packages)].filter((name) => !held.has(name)).sort()
      : input.mode === 'security'
        ? await securityNames(context, simulate)
        : await allNames(context, simulate)
  if (wanted === 'all') return { scope: 'all', leftOut: [] }
  const { names, leftOut } = await withoutExcluded(wanted, context, simulate)
  return { scope: names.length === 0 ? 'nothing' : names, leftOut }
}

/** Everything, by name only where something of it must be left out. */
async function allNames(context: CommandContext, simulate: Simulate): Promise<'all' | string[]> {
  const { changes } = await simulate('all')
  const excluded = await Promise.all(changes.map(({ name }) => context.excludes(name)))
  if (!excluded.includes(true)) return 'all'
  return changes
    .filter((change) => change.from !== null)
    .map(({ name }) => name)
    .sort()
}

async function securityNames(context: CommandContext, simulate: Simulate): Promise<string[]> {
  const { changes } = await simulate('all')
  const upgrades = changes.filter((change) => change.from !== null).map((change) => change.name)
  const policies = await readPolicies(upgrades, context)
  return upgrades.filter((name) => policies.get(name)?.security).sort()
}

type Simulate = (scope: Scope) => Promise<Simulation>

/** Asks apt once for each scope: nothing changes while a plan is made. */
function createSimulate(context: CommandContext): Simulate {
  const known = new Map<string, Promise<Simulation>>()
  return (scope) => {
    const key = JSON.stringify(scope)
    const answer = known.get(key) ?? runSimulation(scope, context)
    known.set(key, answer)
    return answer
  }
}

async function runSimulation(scope: Scope, context: CommandContext): Promise<Simulation> {
  const { program, args } = simulation(scope)
  const simulated = await context.run(program, args, { output: 'capture', okCodes: anyExitCode })
  const failure =
    simulated.exitCode === 0 ? undefined : explainFailure({ text: simulated.stderr, errors: [] })
  if (failure !== undefined) throw new PlanFailed(failure, { exitCode: simulated.exitCode })
  const found = parseSimulation(simulated.stdout)
  if (found.removals.length === 0) return found
  throw new PlanFailed(`This would remove ${found.removals.join(', ')}, which is never done unasked.`)
}

async function readPolicies(
  names: readonly string[],
  context: CommandContext,
): Promise<ReadonlyMap<string, PackagePolicy>> {
  if (names.length === 0) return new Map()
  const releases = await context.run('apt-cache', ['policy'], { output: 'capture' })
  const policies = await context.run('apt-cache', ['policy', '--', ...names], { output: 'capture' })
  return parsePolicies(releases.stdout, policies.stdout)
}

function keptReason(
  name: string,
  byPolicy: boolean,
  held: ReadonlySet<string>,
  simulation: Simulation,
  policies: ReadonlyMap<string, PackagePolicy>,
): KeptPackage['reason'] {
  if (byPolicy) return 'policy'
  if (held.has(name)) return 'held'
  return simulation.deferred.includes(name) || policies.get(name)?.phased ? 'phased' : 'dependencies'
}

async function lines(context: CommandContext, program: string, args: readonly string[]): Promise<string[]> {
  const { stdout } = await context.run(program, args, { output: 'capture' })
  return stdout.split('\n').filter((line) => line !== '')
}

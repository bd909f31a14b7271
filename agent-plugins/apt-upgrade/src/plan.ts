import { createHash } from 'node:crypto'
import type { KeptPackage, PackageChange, UpgradeInput } from '@fleetupdate/plugin-apt-upgrade/contract'
import type { CommandContext } from '@fleetupdate/sdk/executor'
import { type Scope, simulate } from './apt-commands.ts'
import { explainFailure } from './failure.ts'
import { type PackagePolicy, parsePolicies } from './policy.ts'
import { anyExitCode } from './process-result.ts'
import { parseSimulation, type Simulation } from './simulation.ts'

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
  const scope = await chooseScope(input, held, context)
  const simulation = scope === 'nothing' ? nothing : await runSimulation(scope, context)
  const policies = await readPolicies(
    [...simulation.changes.map(({ name }) => name), ...simulation.kept],
    context,
  )
  const packages = simulation.changes.map((change) => ({
    ...change,
    ...(policies.get(change.name)?.security ? { security: true } : {}),
  }))
  const asked = new Set(input.mode === 'selected' ? input.packages : [])
  const kept = new Set([...simulation.kept, ...[...held].filter((name) => asked.has(name))])
  return {
    packages,
    kept: [...kept].sort().map((name) => ({ name, reason: keptReason(name, held, simulation, policies) })),
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

async function chooseScope(
  input: UpgradeInput,
  held: ReadonlySet<string>,
  context: CommandContext,
): Promise<Scope | 'nothing'> {
  if (input.mode === 'all') return 'all'
  // A held package named to apt would stop the whole operation.
  const names =
    input.mode === 'security'
      ? await securityNames(context)
      : [...new Set(input.packages)].filter((name) => !held.has(name)).sort()
  return names.length === 0 ? 'nothing' : names
}

async function securityNames(context: CommandContext): Promise<string[]> {
  const { changes } = await runSimulation('all', context)
  const upgrades = changes.filter((change) => change.from !== null).map((change) => change.name)
  const policies = await readPolicies(upgrades, context)
  return upgrades.filter((name) => policies.get(name)?.security).sort()
}

async function runSimulation(scope: Scope, context: CommandContext): Promise<Simulation> {
  const { program, args } = simulate(scope)
  const simulated = await context.run(program, args, { output: 'capture', okCodes: anyExitCode })
  const failure =
    simulated.exitCode === 0 ? undefined : explainFailure({ text: simulated.stderr, errors: [] })
  if (failure !== undefined) throw new PlanFailed(failure, { exitCode: simulated.exitCode })
  const simulation = parseSimulation(simulated.stdout)
  if (simulation.removals.length === 0) return simulation
  throw new PlanFailed(`This would remove ${simulation.removals.join(', ')}, which is never done unasked.`)
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
  held: ReadonlySet<string>,
  simulation: Simulation,
  policies: ReadonlyMap<string, PackagePolicy>,
): KeptPackage['reason'] {
  if (held.has(name)) return 'held'
  return simulation.deferred.includes(name) || policies.get(name)?.phased ? 'phased' : 'dependencies'
}

async function lines(context: CommandContext, program: string, args: readonly string[]): Promise<string[]> {
  const { stdout } = await context.run(program, args, { output: 'capture' })
  return stdout.split('\n').filter((line) => line !== '')
}

import type { Fleet } from '@fleetupdate/sdk/panel'
import type { HostPlan, UpgradeInput } from './use-plans.ts'

/** Beyond this the run page's address would be too long; hosts so different are better upgraded in groups. */
export const mostDifferentPlans = 50

/**
 * Starts the upgrade on all planned hosts: one batch per plan, with the plan's hash as the precondition, so that no host takes
 * anything that was not shown. Answers the ids of the batches.
 */
export async function startUpgrade(
  fleet: Fleet,
  planned: readonly HostPlan[],
  input: UpgradeInput,
): Promise<readonly string[]> {
  const groups = plansByHash(planned)
  const batches = await Promise.all(
    [...groups].map(([precondition, agents]) =>
      fleet.submitMany({ agents }, { command: 'apt-upgrade.run', input, precondition }),
    ),
  )
  return batches.map(({ id }) => id)
}

/** Hosts with something to do, by the hash of their plan. */
export function plansByHash(planned: readonly HostPlan[]): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, string[]>()
  for (const { agentId, plan } of planned)
    if (plan.packages.length > 0) groups.set(plan.planHash, [...(groups.get(plan.planHash) ?? []), agentId])
  return groups
}

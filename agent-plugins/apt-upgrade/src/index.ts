import { aptUpgrade, type UpgradeInput } from '@fleetupdate/plugin-apt-upgrade/contract'
import { type CommandContext, defineExecutor } from '@fleetupdate/sdk/executor'
import { describePlan } from './describe-plan.ts'
import { makePlan, PlanFailed } from './plan.ts'
import { runUpgrade } from './run-upgrade.ts'

export default defineExecutor(aptUpgrade, {
  commands: {
    async plan(input, context) {
      requireNames(input, context)
      try {
        const { packages, kept, planHash } = await makePlan(input, context)
        context.write(describePlan(packages, kept))
        return { packages: [...packages], planHash, kept: [...kept] }
      } catch (error) {
        if (error instanceof PlanFailed) context.fail(error.message, error.details)
        throw error
      }
    },
    async run(input, context) {
      requireNames(input, context)
      return runUpgrade(input, context)
    },
  },
})

function requireNames({ mode, packages = [] }: UpgradeInput, context: CommandContext): void {
  if (mode === 'selected' && packages.length === 0) {
    context.fail('Mode "selected" needs the names of packages; give "packages", or take mode "all".')
  }
  if (mode !== 'selected' && packages.length > 0) {
    context.fail(`Mode "${mode}" takes no names of packages; leave "packages" out, or take mode "selected".`)
  }
}

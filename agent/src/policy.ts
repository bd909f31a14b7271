import { dirname } from 'node:path'
import type { CommandDefinition } from '@fleetupdate/sdk'
import { createCheck } from './check.ts'
import { PolicyProblem, readPolicy } from './privilege/policy-file.ts'
import { brokenRule, excludes } from './privilege/policy-rules.ts'

export interface PolicyRequest {
  readonly plugin: string
  readonly command: string
  readonly effect: CommandDefinition['effect']
  readonly input: unknown
}

/** The last word of this machine about what may start on it. */
export interface Policy {
  /** Why it may not start, beginning with the name of the rule; undefined where it may. Read anew each time: an edit counts at once. */
  refusal(request: PolicyRequest): Promise<string | undefined>
  /** Tells whether it excludes a package from every change; a policy that cannot be read excludes all. */
  excluder(): Promise<(packageName: string) => boolean>
}

/**
 * The policy in the folder of the configuration. Below /etc it must be root's; elsewhere (`npm start`) it may be of the agent's own
 * user. A policy that cannot be read allows nothing.
 */
export function createPolicy(
  configFile: string,
  { uid, now = () => new Date() }: { readonly uid: number; now?(): Date },
): Policy {
  const folder = dirname(configFile)
  const owners = folder.startsWith('/etc/') ? [0] : [0, uid]
  return {
    async refusal(request) {
      try {
        const { plugin, command, effect, input } = request
        const question = { plugin, commands: [command], effect: effectOf(effect, input) }
        return brokenRule(await readPolicy(folder, owners), question, now())
      } catch (error) {
        if (!(error instanceof PolicyProblem)) throw error
        return `rule "file": ${error.message}. Until it is corrected nothing starts here.`
      }
    },
    excluder: () =>
      readPolicy(folder, owners).then(
        (policy) => (packageName: string) => excludes(policy, packageName),
        () => () => true,
      ),
  }
}

/** What a contract does not say is taken for a change. */
function effectOf(effect: CommandDefinition['effect'], input: unknown): 'observe' | 'security' | 'change' {
  if (typeof effect !== 'object') return effect ?? 'change'
  return createCheck(effect.securityWhen).accepts(input ?? {}) ? 'security' : 'change'
}

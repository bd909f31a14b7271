import { dirname } from 'node:path'
import type { CommandDefinition } from '@fleetupdate/sdk'
import { createCheck } from './check.ts'
import { type HostPolicy, PolicyProblem, type PolicyWindow, readPolicy } from './privilege/policy-file.ts'

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
        return refusalOf(await readPolicy(folder, owners), request, now())
      } catch (error) {
        if (!(error instanceof PolicyProblem)) throw error
        return `rule "file": ${error.message}. Until it is corrected nothing starts here.`
      }
    },
  }
}

function refusalOf(
  { mode, commands, windows, stopped }: HostPolicy,
  { plugin, command, effect, input }: PolicyRequest,
  now: Date,
): string | undefined {
  if (stopped) return 'rule "kill-switch": this machine starts nothing while that file exists.'
  const allowed = commands?.get(plugin)
  if (commands && allowed !== 'all' && !allowed?.includes(command))
    return `rule "commands": ${plugin}.${command} is not allowed on this machine.`
  const real = effectOf(effect, input)
  if (real === 'observe') return undefined
  if (mode === 'observe') return 'rule "mode": this machine is only observed.'
  if (mode === 'security-only' && real !== 'security')
    return 'rule "mode": this machine takes security changes alone.'
  if (windows.length > 0 && !windows.some((window) => isWithin(window, now)))
    return 'rule "windows": this machine is not changed at this time.'
  return undefined
}

/** What a contract does not say is taken for a change. */
function effectOf(effect: CommandDefinition['effect'], input: unknown): 'observe' | 'security' | 'change' {
  if (typeof effect !== 'object') return effect ?? 'change'
  return createCheck(effect.securityWhen).accepts(input ?? {}) ? 'security' : 'change'
}

function isWithin({ days, from, to }: PolicyWindow, now: Date): boolean {
  const minute = now.getHours() * 60 + now.getMinutes()
  const today = now.getDay()
  if (from <= to) return days.includes(today) && minute >= from && minute < to
  return (days.includes(today) && minute >= from) || (days.includes((today + 6) % 7) && minute < to)
}

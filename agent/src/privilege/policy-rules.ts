import type { HostPolicy, PolicyWindow } from './policy-file.ts'

/** What is about to happen, as far as the rules look at it. */
export interface PolicyQuestion {
  readonly plugin: string
  /** The commands it may be for; undefined where that is not known. */
  readonly commands: readonly string[] | undefined
  readonly effect: 'observe' | 'security' | 'change'
  /** It goes on with what began in a window. */
  readonly begun?: boolean
}

/** The rule of the policy that forbids it, `rule "name": why`; undefined where none does. */
export function brokenRule(policy: HostPolicy, question: PolicyQuestion, now: Date): string | undefined {
  const { mode, windows, stopped } = policy
  const { plugin, commands, effect, begun } = question
  if (stopped) return 'rule "kill-switch": this machine starts nothing while that file exists.'
  const allowed = policy.commands?.get(plugin)
  const isAllowed = commands ? commands.some((one) => allowed?.includes(one)) : allowed?.length !== 0
  if (policy.commands && allowed !== 'all' && (allowed === undefined || !isAllowed))
    return `rule "commands": ${[plugin, ...(commands ?? []).slice(0, 1)].join('.')} is not allowed on this machine.`
  if (effect === 'observe') return undefined
  if (mode === 'observe') return 'rule "mode": this machine is only observed.'
  if (mode === 'security-only' && effect !== 'security')
    return 'rule "mode": this machine takes security changes alone.'
  if (!begun && !isOpen(windows, now)) return 'rule "windows": this machine is not changed at this time.'
  return undefined
}

/** Whether changes may begin now. */
export function isOpen(windows: readonly PolicyWindow[], now: Date): boolean {
  return windows.length === 0 || windows.some((window) => isWithin(window, now))
}

function isWithin({ days, from, to }: PolicyWindow, now: Date): boolean {
  const minute = now.getHours() * 60 + now.getMinutes()
  const today = now.getDay()
  if (from <= to) return days.includes(today) && minute >= from && minute < to
  return (days.includes(today) && minute >= from) || (days.includes((today + 6) % 7) && minute < to)
}

/** Whether the owner excludes a package, also one of another architecture (`name:arch`), from every change. */
export function excludes({ excluded }: Pick<HostPolicy, 'excluded'>, name: string): boolean {
  const [plain = ''] = name.split(':')
  const pattern = (glob: string): string =>
    glob.replaceAll(/[.+]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.')
  return excluded.some((glob) => new RegExp(`^${pattern(glob)}$`).test(plain))
}

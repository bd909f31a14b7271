import type { Host } from './contract.ts'
import type { Heartbeat } from './wire.ts'

export interface GivenFact {
  readonly fact: string
  readonly value: unknown
}

interface Pending {
  readonly name: string
  readonly current: string
  readonly candidate: string
}

/**
 * What a heartbeat says, as facts: the host as a fact of this capability, pending updates and whether apt works as root as those of the
 * capabilities that own them. What it does not say is left out, never guessed.
 */
export function factsOf(heartbeat: Heartbeat, nowIso: string): readonly GivenFact[] {
  const update = heartbeat.os_update ?? {}
  const host: Host = {
    agentVersion: line(heartbeat.agent_version, 64),
    os: line(update.os_version, 200),
    kernel: line(update.kernel, 200),
    arch: line(update.arch, 64),
    hostname: line(update.hostname, 255),
    uptimeSeconds: typeof update.uptime_seconds === 'number' ? update.uptime_seconds : null,
    status: line(update.status, 200),
  }
  const facts: GivenFact[] = [{ fact: 'legacy-agents.host', value: host }]
  const updates = updatesOf(update.pkg_manager, update.upgrades, nowIso)
  if (updates) facts.push({ fact: 'os-updates.updates', value: updates })
  if (typeof update.sudo_apt_ok === 'boolean')
    facts.push({ fact: 'sudo-check.privileges', value: [privilegeOf(update.sudo_apt_ok)] })
  return facts
}

const ageUnknown =
  'An agent of the first FleetUpdate does not say how old its package index is; replace it to know.'

function updatesOf(manager: unknown, upgrades: unknown, nowIso: string): object | undefined {
  const base = { manager: line(manager, 32) || 'apt', refreshedAt: nowIso, problem: ageUnknown }
  if (typeof upgrades === 'number' && Number.isInteger(upgrades) && upgrades >= 0)
    return { ...base, pending: [], ...(upgrades > 0 ? { omitted: upgrades } : {}) }
  if (!Array.isArray(upgrades)) return undefined
  const known = upgrades.flatMap((item): readonly Pending[] => pendingOf(item) ?? [])
  const pending = known.slice(0, 2000).map((item) => ({
    ...item,
    origin: '',
    security: false,
    held: false,
    phased: false,
  }))
  const omitted = upgrades.length - pending.length
  return { ...base, pending, ...(omitted > 0 ? { omitted } : {}) }
}

/** A line of `apt list --upgradable`, a name alone, or an object. */
function pendingOf(item: unknown): readonly Pending[] | undefined {
  if (typeof item === 'string') {
    const [, name = '', candidate = '', current = ''] =
      /^([^\s/]{1,200})(?:\/\S* (\S+) \S+(?: \[upgradable from: ([^\]\s]+)\])?)?/.exec(item) ?? []
    return name === ''
      ? undefined
      : [{ name, candidate: candidate.slice(0, 200), current: current.slice(0, 200) }]
  }
  if (typeof item !== 'object' || item === null) return undefined
  const fields: Readonly<Record<string, unknown>> = { ...item }
  const name = line(fields.name ?? fields.package, 200)
  const candidate = line(fields.candidate ?? fields.available ?? fields.new_version ?? fields.to, 200)
  const current = line(fields.current ?? fields.installed ?? fields.current_version ?? fields.from, 200)
  return name === '' ? undefined : [{ name, candidate, current }]
}

function privilegeOf(ok: boolean): object {
  const missing =
    'The old agent says that sudo apt asks for a password. See the sudoers line of the first FleetUpdate.'
  return { id: 'apt', plugin: 'apt-upgrade', ok, ...(ok ? {} : { missing }) }
}

function line(value: unknown, atMost: number): string {
  const text = typeof value === 'string' || typeof value === 'number' ? String(value) : ''
  return text
    .replace(/\p{Cc}/gu, ' ')
    .trim()
    .slice(0, atMost)
}

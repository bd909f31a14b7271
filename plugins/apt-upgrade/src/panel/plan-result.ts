export interface Change {
  readonly name: string
  readonly from: string | null
  readonly to: string
  readonly security: boolean
}

export interface Kept {
  readonly name: string
  readonly reason: 'held' | 'phased' | 'policy' | 'dependencies'
}

export interface PlanResult {
  readonly packages: readonly Change[]
  readonly kept: readonly Kept[]
  readonly planHash: string
}

/** The result of a plan or a run, read with care; undefined where it is none. */
export function planResult(value: unknown): PlanResult | undefined {
  if (!isRecord(value) || !Array.isArray(value.packages)) return undefined
  return {
    planHash: typeof value.planHash === 'string' ? value.planHash : '',
    packages: value.packages.filter(isRecord).map((item) => ({
      name: String(item.name),
      from: typeof item.from === 'string' ? item.from : null,
      to: String(item.to),
      security: item.security === true,
    })),
    kept: (Array.isArray(value.kept) ? value.kept : []).filter(isRecord).map((item) => ({
      name: String(item.name),
      reason:
        item.reason === 'held' || item.reason === 'phased' || item.reason === 'policy'
          ? item.reason
          : 'dependencies',
    })),
  }
}

/** One package over all hosts. */
export interface FleetChange {
  readonly name: string
  /** The versions it goes from and to, each once. */
  readonly from: readonly string[]
  readonly to: readonly string[]
  readonly security: boolean
  readonly hosts: number
}

/** Adds up what changes on many hosts: security first, then what touches most hosts. */
export function addUp(plans: readonly PlanResult[]): readonly FleetChange[] {
  const found = new Map<string, { from: Set<string>; to: Set<string>; security: boolean; hosts: number }>()
  for (const { name, from, to, security } of plans.flatMap(({ packages }) => packages)) {
    const sum = found.get(name) ?? { from: new Set(), to: new Set(), security: false, hosts: 0 }
    if (from !== null) sum.from.add(from)
    sum.to.add(to)
    sum.security ||= security
    sum.hosts += 1
    found.set(name, sum)
  }
  return [...found]
    .map(([name, { from, to, security, hosts }]) => ({ name, from: [...from], to: [...to], security, hosts }))
    .sort(
      (a, b) => Number(b.security) - Number(a.security) || b.hosts - a.hosts || a.name.localeCompare(b.name),
    )
}

/** Packages that stay although there is a newer version, with the number of hosts, by reason. */
export function addUpKept(plans: readonly PlanResult[]): readonly (Kept & { readonly hosts: number })[] {
  const found = new Map<string, Kept & { hosts: number }>()
  for (const { name, reason } of plans.flatMap(({ kept }) => kept)) {
    const key = `${reason} ${name}`
    const sum = found.get(key) ?? { name, reason, hosts: 0 }
    sum.hosts += 1
    found.set(key, sum)
  }
  return [...found.values()].sort((a, b) => a.reason.localeCompare(b.reason) || a.name.localeCompare(b.name))
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

import type { AnyContract, CommandDefinition } from '@fleetupdate/sdk'

/** The contract of one released version. */
export interface ContractVersion {
  readonly version: string
  readonly contract: AnyContract
}

/**
 * Why a new version of a plugin may not take the place of the one before: what it breaks for programs, panels and the executors that agents
 * still have. Undefined where its contract only gained, where its version says that it breaks (a new major one; below 1.0 a new minor one),
 * or where the version is the same, as while it is being written.
 */
export function contractBreak(before: ContractVersion, after: ContractVersion): string | undefined {
  if (before.version === after.version || rank(before.version) < rank(after.version)) return undefined
  const broken = breakingChanges(before.contract, after.contract)
  if (broken.length === 0) return undefined
  return `its contract breaks with version ${before.version}: ${broken.slice(0, 3).join('; ')}. Take the change back, or raise the version so that people see it (${next(before.version)})`
}

/** One sentence for each thing that worked with the contract `before` and no longer does. Pure. */
export function breakingChanges(before: AnyContract, after: AnyContract): readonly string[] {
  const problems: string[] = []
  for (const [name, schema] of Object.entries(before.facts))
    if (!(name in after.facts)) problems.push(`the fact "${name}" is gone`)
    else problems.push(...changes(schema, after.facts[name], `the fact "${name}"`, 'read'))
  for (const name of Object.keys(before.facets))
    if (!(name in after.facets)) problems.push(`the facet "${name}" is gone`)
  for (const [name, command] of Object.entries<CommandDefinition>(before.commands)) {
    const now: CommandDefinition | undefined = after.commands[name]
    if (now === undefined) problems.push(`the command "${name}" is gone`)
    else {
      problems.push(...changes(command.input ?? {}, now.input ?? {}, `the input of "${name}"`, 'write'))
      if (command.result)
        problems.push(...changes(command.result, now.result ?? {}, `the result of "${name}"`, 'read'))
    }
  }
  return problems
}

interface Schema {
  readonly type?: unknown
  readonly properties?: Readonly<Record<string, unknown>>
  readonly required?: readonly string[]
  readonly items?: unknown
  readonly enum?: readonly unknown[]
  readonly [bound: string]: unknown
}

const lower = ['minimum', 'exclusiveMinimum', 'minLength', 'minItems']
const upper = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems']

/** `write`: what was accepted must stay so. `read`: what was there must stay there. */
function changes(from: unknown, to: unknown, where: string, use: 'read' | 'write'): readonly string[] {
  const [old, now] = [asSchema(from), asSchema(to)]
  if (JSON.stringify(old.type) !== JSON.stringify(now.type))
    return [`${where} was ${old.type ?? 'nothing'}, and is ${now.type ?? 'nothing'}`]
  const problems: string[] = []
  const [was, is] = [old.properties ?? {}, now.properties ?? {}]
  for (const [name, schema] of Object.entries(was))
    if (!Object.hasOwn(is, name)) problems.push(`"${name}" of ${where} is gone`)
    else problems.push(...changes(schema, is[name], `"${name}" of ${where}`, use))
  const required = { old: old.required ?? [], now: now.required ?? [] }
  if (use === 'write') {
    for (const name of required.now)
      if (!required.old.includes(name)) problems.push(`"${name}" of ${where} is now needed`)
    if (now.enum && (!old.enum || old.enum.some((value) => !now.enum?.includes(value))))
      problems.push(`${where} takes fewer values`)
    const isNarrower =
      lower.some((bound) => narrower(old[bound], now[bound], (a, b) => a > b)) ||
      upper.some((bound) => narrower(old[bound], now[bound], (a, b) => a < b))
    if (isNarrower) problems.push(`${where} has narrower bounds`)
    if (now.pattern !== undefined && now.pattern !== old.pattern)
      problems.push(`${where} has another pattern`)
  } else
    for (const name of required.old)
      if (!required.now.includes(name) && Object.hasOwn(is, name))
        problems.push(`"${name}" of ${where} may now be missing`)
  if (old.items !== undefined) problems.push(...changes(old.items, now.items, `an item of ${where}`, use))
  return problems
}

function narrower(old: unknown, now: unknown, isNarrower: (now: number, old: number) => boolean): boolean {
  return typeof now === 'number' && (typeof old !== 'number' || isNarrower(now, old))
}

function asSchema(value: unknown): Schema {
  return typeof value === 'object' && value !== null ? (value as Schema) : {}
}

/** Grows exactly where a version may break. */
function rank(version: string): number {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > 0 ? major * 1e6 : minor
}

function next(version: string): string {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > 0 ? `${major + 1}.0.0` : `0.${minor + 1}.0`
}

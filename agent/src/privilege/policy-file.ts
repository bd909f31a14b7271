import { lstat, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What the owner of this machine allows, whatever the server wants. */
export interface HostPolicy {
  readonly mode: 'observe' | 'security-only' | 'full'
  /** Plugin → its allowed commands; undefined: all of all. A plugin that is not named may nothing. */
  readonly commands: ReadonlyMap<string, 'all' | readonly string[]> | undefined
  /** Names of packages that are never changed; `*` stands for any text. */
  readonly excluded: readonly string[]
  /** Changes happen only within one of them; empty: at any time. */
  readonly windows: readonly PolicyWindow[]
  /** The file `kill-switch` exists: nothing starts. */
  readonly stopped: boolean
}

export interface PolicyWindow {
  /** 0 is Sunday; the day on which the window opens. */
  readonly days: readonly number[]
  /** Minutes after midnight, local time; `to` before `from` is on the next day. */
  readonly from: number
  readonly to: number
}

/** Thrown where a policy exists and cannot be trusted or understood: then nothing may start. */
export class PolicyProblem extends Error {}

const dayNames = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const everything = { mode: 'full', commands: undefined, excluded: [], windows: [] } as const

/**
 * Reads `policy.yaml` and `kill-switch` in a folder; without them everything is allowed. Throws {@link PolicyProblem} where the file or
 * its folder belongs to somebody who is not in `owners`, others may write it, or it says anything that is not understood.
 */
export async function readPolicy(folder: string, owners: readonly number[]): Promise<HostPolicy> {
  const file = join(folder, 'policy.yaml')
  const stopped = await exists(join(folder, 'kill-switch'))
  if (!(await exists(file))) return { ...everything, stopped }
  for (const path of [file, folder]) {
    const { uid, mode } = await lstat(path)
    // A link's own mode is always 0777, so that it is refused too.
    if (!owners.includes(uid) || (mode & 0o022) !== 0)
      throw new PolicyProblem(`${path} must belong to root, and nobody else may write it`)
  }
  const { parse } = await import('yaml')
  const text = await readFile(file, 'utf8')
  try {
    return { ...understand(parse(text) ?? {}), stopped }
  } catch (error) {
    throw new PolicyProblem(`${file}: ${error instanceof PolicyProblem ? error.message : 'it is not YAML'}`)
  }
}

function understand(value: unknown): Omit<HostPolicy, 'stopped'> {
  const {
    mode = 'full',
    commands,
    packages = {},
    windows = [],
  } = keys(value, ['mode', 'commands', 'packages', 'windows'])
  if (mode !== 'observe' && mode !== 'security-only' && mode !== 'full')
    throw new PolicyProblem('mode must be observe, security-only or full')
  const { exclude = [] } = keys(packages, ['exclude'])
  if (!isTextList(exclude) || !exclude.every((one) => /^[a-z0-9*?][a-z0-9+.*?-]*$/.test(one)))
    throw new PolicyProblem("packages.exclude must be a list of names, such as 'linux-image-*'")
  const allowed = commands === undefined ? undefined : Object.entries(keys(commands))
  if (!Array.isArray(windows)) throw new PolicyProblem(windowProblem)
  return {
    mode,
    commands: allowed && new Map(allowed.map(readCommands)),
    excluded: exclude,
    windows: windows.map(readWindow),
  }
}

function readCommands([plugin, allowed]: [string, unknown]): [string, 'all' | readonly string[]] {
  if (allowed === 'all' || isTextList(allowed)) return [plugin, allowed]
  throw new PolicyProblem(`commands.${plugin} must be "all" or a list of commands`)
}

const windowProblem = "windows must be a list of { days?: [sat, …], from: '02:00', to: '05:00' }"

function readWindow(value: unknown): PolicyWindow {
  const { days = dayNames, from, to } = keys(value, ['days', 'from', 'to'])
  const numbers = isTextList(days) ? days.map((day) => dayNames.indexOf(day)) : [-1]
  const [start, end] = [minutes(from), minutes(to)]
  if (numbers.includes(-1) || start === undefined || end === undefined) throw new PolicyProblem(windowProblem)
  return { days: numbers, from: start, to: end }
}

function minutes(value: unknown): number | undefined {
  const match = typeof value === 'string' ? /^([01]\d|2[0-3]):([0-5]\d)$/.exec(value) : null
  return match ? Number(match[1]) * 60 + Number(match[2]) : undefined
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false
    throw new PolicyProblem(`${path} cannot be read`)
  }
}

/** The keys of a map; a key that is not known may mean a rule that would not be kept. */
function keys(value: unknown, known?: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new PolicyProblem(`${JSON.stringify(value)} stands where keys are expected`)
  const unknown = known && Object.keys(value).find((key) => !known.includes(key))
  if (unknown !== undefined) throw new PolicyProblem(`the key "${unknown}" is unknown`)
  return { ...value }
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}

import { lstat, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** What the owner of this machine allows, whatever the server wants. */
export interface HostPolicy {
  readonly mode: 'observe' | 'security-only' | 'full'
  /** Plugin → its allowed commands; undefined: all of all. A plugin that is not named may nothing. */
  readonly commands: ReadonlyMap<string, 'all' | readonly string[]> | undefined
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

/**
 * Reads `policy.yaml` and `kill-switch` in a folder; without them everything is allowed. Throws {@link PolicyProblem} where the file or
 * its folder belongs to somebody who is not in `owners`, others may write it, or it says anything that is not understood.
 */
export async function readPolicy(folder: string, owners: readonly number[]): Promise<HostPolicy> {
  const file = join(folder, 'policy.yaml')
  const stopped = await exists(join(folder, 'kill-switch'))
  if (!(await exists(file))) return { mode: 'full', commands: undefined, windows: [], stopped }
  for (const path of [file, dirname(file)]) await assertOwned(path, owners)
  const { parse } = await import('yaml')
  let value: unknown
  try {
    value = parse(await readFile(file, 'utf8')) ?? {}
  } catch {
    throw new PolicyProblem(`${file} is not readable YAML`)
  }
  const { mode = 'full', commands, windows = [], ...rest } = record(value, file)
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined) throw new PolicyProblem(`${file} has the unknown key "${unknown}"`)
  if (mode !== 'observe' && mode !== 'security-only' && mode !== 'full')
    throw new PolicyProblem(`mode in ${file} must be observe, security-only or full`)
  return { mode, commands: readCommands(commands, file), windows: readWindows(windows, file), stopped }
}

function readCommands(value: unknown, file: string): HostPolicy['commands'] {
  if (value === undefined) return undefined
  const entries = Object.entries(record(value, `commands in ${file}`))
  return new Map(
    entries.map(([plugin, allowed]) => {
      if (allowed === 'all' || isTextList(allowed)) return [plugin, allowed]
      throw new PolicyProblem(`commands.${plugin} in ${file} must be "all" or a list of commands`)
    }),
  )
}

function readWindows(value: unknown, file: string): readonly PolicyWindow[] {
  const problem = `windows in ${file} must be a list of { days?: [sat, …], from: '02:00', to: '05:00' }`
  if (!Array.isArray(value)) throw new PolicyProblem(problem)
  return value.map((one: unknown) => {
    const { days = dayNames, from, to, ...rest } = record(one, `a window in ${file}`)
    if (!isTextList(days) || Object.keys(rest).length > 0) throw new PolicyProblem(problem)
    const numbers = days.map((day) => dayNames.indexOf(day))
    const [start, end] = [minutes(from), minutes(to)]
    if (numbers.includes(-1) || start === undefined || end === undefined) throw new PolicyProblem(problem)
    return { days: numbers, from: start, to: end }
  })
}

function minutes(value: unknown): number | undefined {
  const match = typeof value === 'string' ? /^([01]\d|2[0-3]):([0-5]\d)$/.exec(value) : null
  return match ? Number(match[1]) * 60 + Number(match[2]) : undefined
}

async function assertOwned(path: string, owners: readonly number[]): Promise<void> {
  const { uid, mode } = await lstat(path)
  // A link's own mode is always 0777, so that it is refused too.
  if (!owners.includes(uid) || (mode & 0o022) !== 0)
    throw new PolicyProblem(`${path} must belong to root, and nobody else may write it`)
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

function record(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw new PolicyProblem(`${where} must hold keys`)
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}

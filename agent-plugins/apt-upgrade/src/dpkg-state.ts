import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { PackageChange } from '@fleetupdate/plugin-apt-upgrade/contract'
import type { CommandContext } from '@fleetupdate/sdk/executor'

/** Version by name; a foreign package's name ends in `:arch`, as in apt's answers. */
export type InstalledVersions = ReadonlyMap<string, string>

/** Every package dpkg knows of, apart from removed ones. */
export interface PackageStates {
  /** Those that are completely installed. */
  readonly installed: InstalledVersions
  /** Those that an interrupted dpkg left half done; `dpkg --configure -a` finishes them. */
  readonly unfinished: readonly string[]
  /** Those of them whose files are in an unknown state: only installing them anew helps. */
  readonly broken: readonly string[]
}

const finishedStates = new Set(['installed', 'config-files', 'not-installed'])

/** What dpkg's database says now. */
export async function packageStates(context: CommandContext): Promise<PackageStates> {
  const native = await context.run('dpkg', ['--print-architecture'], { output: 'capture' })
  const fields = ['Package', 'Architecture', 'Version', 'db:Status-Status', 'db:Status-Eflag']
  const format = fields.map((field) => `$\{${field}}`).join('\\t')
  const listed = await context.run('dpkg-query', ['--show', `--showformat=${format}\\n`], {
    output: 'capture',
  })
  return parsePackageStates(listed.stdout, native.stdout.trim())
}

/** Whether dpkg was ended while it wrote its database. Only true to the point while nobody holds dpkg's locks. */
export async function hasJournal(root: string): Promise<boolean> {
  const files = await readdir(join(root, '/var/lib/dpkg/updates')).catch(() => [])
  return files.some((name) => /^\d+$/.test(name))
}

/** Reads lines of name, architecture, version, status and error flag, separated by tabs. */
export function parsePackageStates(text: string, nativeArchitecture: string): PackageStates {
  const installed = new Map<string, string>()
  const unfinished: string[] = []
  const broken: string[] = []
  for (const line of text.split('\n')) {
    const [base, architecture, version, status, flag] = line.split('\t')
    if (base === undefined || version === undefined || status === undefined) continue
    const native = architecture === nativeArchitecture || architecture === 'all'
    const name = native ? base : `${base}:${architecture}`
    if (flag === 'reinstreq') broken.push(name)
    if (flag === 'reinstreq' || !finishedStates.has(status)) unfinished.push(name)
    else if (status === 'installed') installed.set(name, version)
  }
  return { installed, unfinished, broken }
}

/** What is installed now in another version than before, by name. `planned` says what is about security. */
export function changedPackages(
  before: InstalledVersions,
  after: InstalledVersions,
  planned: readonly PackageChange[],
): PackageChange[] {
  const security = new Set(planned.filter((change) => change.security).map((change) => change.name))
  return [...after]
    .filter(([name, version]) => before.get(name) !== version)
    .map(([name, version]) => ({
      name,
      from: before.get(name) ?? planned.find((change) => change.name === name)?.from ?? null,
      to: version,
      ...(security.has(name) ? { security: true } : {}),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

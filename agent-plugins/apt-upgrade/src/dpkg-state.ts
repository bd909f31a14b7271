import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { PackageChange } from '@fleetupdate/plugin-apt-upgrade/contract'
import type { CommandContext } from '@fleetupdate/sdk/executor'
import { anyExitCode } from './process-result.ts'

/** Version by name; a foreign package's name ends in `:arch`, as in apt's answers. */
export type InstalledVersions = ReadonlyMap<string, string>

/** Whether an earlier dpkg was ended before it was done. Only true to the point while nobody holds dpkg's locks. */
export async function isInterrupted(context: CommandContext): Promise<boolean> {
  const journal = await readdir(join(context.root, '/var/lib/dpkg/updates')).catch(() => [])
  if (journal.some((name) => /^\d+$/.test(name))) return true
  const audit = await context.run('dpkg', ['--audit'], { output: 'capture', okCodes: anyExitCode })
  return audit.stdout.trim() !== ''
}

/** Every package that is completely installed. */
export async function installedVersions(context: CommandContext): Promise<InstalledVersions> {
  const native = await context.run('dpkg', ['--print-architecture'], { output: 'capture' })
  const format = ['Package', 'Architecture', 'Version', 'db:Status-Status'].map((field) => `$\{${field}}`)
  const listed = await context.run('dpkg-query', ['--show', `--showformat=${format.join('\\t')}\\n`], {
    output: 'capture',
  })
  return parseInstalled(listed.stdout, native.stdout.trim())
}

/** Reads lines of name, architecture, version and status, separated by tabs. */
export function parseInstalled(text: string, nativeArchitecture: string): InstalledVersions {
  const versions = new Map<string, string>()
  for (const line of text.split('\n')) {
    const [name, architecture, version, status] = line.split('\t')
    if (name === undefined || version === undefined || status !== 'installed') continue
    const native = architecture === nativeArchitecture || architecture === 'all'
    versions.set(native ? name : `${name}:${architecture}`, version)
  }
  return versions
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

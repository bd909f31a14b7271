import type { KeptPackage, PackageChange } from '@fleetupdate/plugin-apt-upgrade/contract'

const texts: Readonly<Record<KeptPackage['reason'], string>> = {
  held: 'held',
  phased: 'phased',
  dependencies: 'dependencies',
  policy: 'excluded by this machine\'s policy, rule "packages"',
}

/** A plan as text for people: one line a package, then what stays and why. */
export function describePlan(packages: readonly PackageChange[], kept: readonly KeptPackage[]): string {
  const changes = packages.map(
    ({ name, from, to, security }) => `${name}  ${from ?? '(new)'} → ${to}${security ? '  security' : ''}`,
  )
  const staying = kept.map(({ name, reason }) => `${name}  stays: ${texts[reason]}`)
  const lines = [...(changes.length === 0 ? ['Nothing to upgrade.'] : changes), ...staying]
  return `${lines.join('\n')}\n`
}

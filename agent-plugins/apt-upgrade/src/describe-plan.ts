import type { KeptPackage, PackageChange } from '@fleetupdate/plugin-apt-upgrade/contract'

/** A plan as text for people: one line a package, then what stays and why. */
export function describePlan(packages: readonly PackageChange[], kept: readonly KeptPackage[]): string {
  const changes = packages.map(
    ({ name, from, to, security }) => `${name}  ${from ?? '(new)'} → ${to}${security ? '  security' : ''}`,
  )
  const staying = kept.map(({ name, reason }) => `${name}  stays: ${reason}`)
  const lines = [...(changes.length === 0 ? ['Nothing to upgrade.'] : changes), ...staying]
  return `${lines.join('\n')}\n`
}

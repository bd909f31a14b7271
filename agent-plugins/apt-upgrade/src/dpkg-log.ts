import type { PackageChange } from '@fleetupdate/plugin-apt-upgrade/contract'

/** How far an installation is; `percent` from 0 to 100. */
export interface InstallStep {
  readonly percent: number
  readonly message: string
}

/**
 * Reads progress from the lines that dpkg writes to its own log: each planned package counts twice, once unpacked and once
 * installed. For agents that reach root through sudo, which closes the descriptor of apt's status.
 */
export function createDpkgLogReader(
  planned: readonly PackageChange[],
): (line: string) => InstallStep | undefined {
  const expected = new Set(
    planned.flatMap(({ name, to }) => ['unpacked', 'installed'].map((status) => key(status, name, to))),
  )
  const total = expected.size
  return (line) => {
    const [, status, name, version] = / status (unpacked|installed) (\S+) (\S+)$/.exec(line) ?? []
    if (status === undefined || name === undefined || version === undefined) return undefined
    if (!expected.delete(key(status, name, version))) return undefined
    const done = total - expected.size
    const verb = status === 'unpacked' ? 'Unpacked' : 'Installed'
    return { percent: (100 * done) / total, message: `${verb} ${name.split(':')[0]}` }
  }
}

function key(status: string, name: string, version: string): string {
  return `${status} ${name.split(':')[0]} ${version}`
}

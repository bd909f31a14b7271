/** A program and its arguments, as `run` takes them. */
export interface Invocation {
  readonly program: string
  readonly args: readonly string[]
}

/** Where apt writes its progress: descriptor 3, or nowhere. */
type StatusFd = 3 | -1

/** What `apt-get` is asked to upgrade: everything it can, or these installed packages. */
export type Scope = 'all' | readonly string[]

/** The environment of every privileged program; the manifest fixes the same. */
export const packageEnvironment = {
  DEBIAN_FRONTEND: 'noninteractive',
  DEBIAN_PRIORITY: 'critical',
  NEEDRESTART_SUSPEND: '1',
  UCF_FORCE_CONFFOLD: '1',
} as const

/** Asks apt what it would do; needs no privilege and takes no lock. */
export function simulate(scope: Scope): Invocation {
  const options = [
    '--simulate',
    '--verbose-versions',
    '--no-remove',
    ...option('APT::Cmd::Pattern-Only=1'),
    ...option('APT::Get::Show-User-Simulation-Note=false'),
  ]
  return { program: 'apt-get', args: [...options, ...target(scope)] }
}

/** Fetches the packages into apt's cache. Privilege `download-all` or `download-selected`. */
export function download(scope: Scope): Invocation {
  return { program: '/usr/bin/apt-get', args: [...options(3), '--download-only', ...target(scope)] }
}

/** Installs; keeps changed configuration files, asks nothing, removes nothing. Privilege `upgrade-all` or `upgrade-selected`. */
export function upgrade(scope: Scope): Invocation {
  return { program: '/usr/bin/apt-get', args: [...options(3), ...target(scope)] }
}

/** Finishes what an interrupted dpkg left. Privilege `repair-dpkg`. */
export const repairDpkg: Invocation = {
  program: '/usr/bin/dpkg',
  args: ['--force-confdef', '--force-confold', '--configure', '-a'],
}

/** Completes half an upgrade whose dependencies are not satisfied. Privilege `repair-dependencies`. */
export const repairDependencies: Invocation = {
  program: '/usr/bin/apt-get',
  args: [...options(-1), '--fix-broken', 'install'],
}

/** Installs packages anew whose files an interrupted dpkg left in an unknown state. Privilege `reinstall`. */
export function reinstall(names: readonly string[]): Invocation {
  return { program: '/usr/bin/apt-get', args: [...options(-1), '--reinstall', 'install', '--', ...names] }
}

/** Marks packages as automatically installed again, which `apt-get install NAME` undoes [m]. Privilege `restore-marks`. */
export function markAutomatic(names: readonly string[]): Invocation {
  return { program: '/usr/bin/apt-mark', args: ['auto', '--', ...names] }
}

function options(statusFd: StatusFd): string[] {
  return [
    '--yes',
    '--quiet',
    '--no-remove',
    ...option('DPkg::Lock::Timeout=600'),
    ...option('Dpkg::Use-Pty=0'),
    ...option('Dpkg::Options::=--force-confdef'),
    ...option('Dpkg::Options::=--force-confold'),
    ...option('APT::Cmd::Pattern-Only=1'),
    ...option(`APT::Status-Fd=${statusFd}`),
  ]
}

function option(setting: string): [string, string] {
  return ['-o', setting]
}

function target(scope: Scope): string[] {
  return scope === 'all' ? ['--with-new-pkgs', 'upgrade'] : ['--only-upgrade', 'install', '--', ...scope]
}

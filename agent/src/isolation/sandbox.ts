import { dirname } from 'node:path'

/** What one third-party executor gets of a machine. */
export interface SandboxWishes {
  /** Unit name without `.service`. */
  readonly unit: string
  /** Absolute paths of node and of the program executor-process.js. */
  readonly node: string
  readonly program: string
  readonly network: boolean
  /** Files and folders it reads besides programs and libraries, as its manifest declares. */
  readonly paths: readonly string[]
  /** After which systemd ends it, whatever it does. */
  readonly seconds: number
  /** The names in the host's root folder. */
  readonly rootNames: readonly string[]
}

/** Stays what it is on the host, or systemd puts something of its own there. Names that are links lead into these. */
const keptRoots = ['usr', 'bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32', 'dev', 'proc', 'sys', 'tmp']

/** What every program needs to run at all. */
const readable = [
  ...['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32', '/opt/node'],
  ...['/etc/alternatives', '/etc/ld.so.cache', '/etc/ld.so.conf', '/etc/ld.so.conf.d', '/etc/localtime'],
  ...['/etc/nsswitch.conf', '/etc/passwd', '/etc/group', '/etc/os-release', '/etc/ssl', '/etc/hostname'],
]
const forNetwork = ['/etc/resolv.conf', '/etc/hosts', '/etc/gai.conf', '/run/systemd/resolve']

/** The properties of the transient unit in which a third-party executor runs: a user of its own, and of everything only what it needs. */
export function sandboxProperties({
  node,
  program,
  network,
  paths,
  seconds,
  rootNames,
}: SandboxWishes): readonly string[] {
  const visible = [...readable, dirname(node), program, ...paths, ...(network ? forNetwork : [])]
  return [
    'DynamicUser=yes',
    'PrivateUsers=yes',
    // Every folder of the host is empty but for what is bound into it: what is not declared is not there. (The root folder itself cannot be
    // replaced together with DynamicUser.)
    ...rootNames.filter(isEmptied).map((name) => `TemporaryFileSystem=/${name}:ro`),
    ...visible.filter(isBindable).map((path) => `BindReadOnlyPaths=-${path}`),
    'ProtectSystem=strict',
    'ProtectHome=yes',
    'PrivateTmp=yes',
    'PrivateDevices=yes',
    'DevicePolicy=closed',
    'PrivateIPC=yes',
    ...(network
      ? ['RestrictAddressFamilies=AF_INET AF_INET6']
      : ['PrivateNetwork=yes', 'IPAddressDeny=any', 'RestrictAddressFamilies=AF_UNIX']),
    'CapabilityBoundingSet=',
    'AmbientCapabilities=',
    'NoNewPrivileges=yes',
    'ProtectKernelTunables=yes',
    'ProtectKernelModules=yes',
    'ProtectKernelLogs=yes',
    'ProtectControlGroups=yes',
    'ProtectClock=yes',
    'ProtectHostname=yes',
    'ProtectProc=invisible',
    'ProcSubset=pid',
    'RestrictNamespaces=yes',
    'RestrictRealtime=yes',
    'RestrictSUIDSGID=yes',
    'LockPersonality=yes',
    'RemoveIPC=yes',
    'KeyringMode=private',
    'SystemCallArchitectures=native',
    'SystemCallFilter=@system-service',
    'SystemCallFilter=~@privileged @resources',
    'SystemCallErrorNumber=EPERM',
    'UMask=0077',
    'MemoryMax=256M',
    'MemorySwapMax=0',
    'TasksMax=64',
    'CPUQuota=100%',
    'LimitNOFILE=256',
    'LimitCORE=0',
    'LimitFSIZE=64M',
    'OOMPolicy=kill',
    'OOMScoreAdjust=500',
    `RuntimeMaxSec=${seconds}`,
    'TimeoutStopSec=2',
    'KillMode=control-group',
  ]
}

/** The argument list of systemd-run that starts it with its stdin and stdout connected, and ends when it ends. */
export function sandboxCommand(wishes: SandboxWishes): readonly string[] {
  const properties = sandboxProperties(wishes).map((one) => `--property=${one}`)
  const unit = [`--unit=${wishes.unit}`, '--pipe', '--wait', '--collect', '--quiet']
  return [...unit, ...properties, '--', wishes.node, ...nodeLimits, wishes.program]
}

/** Of the heap, so that a leak ends with a message of node and not of the kernel. */
export const nodeLimits = ['--max-old-space-size=128'] as const

function isEmptied(name: string): boolean {
  return !keptRoots.includes(name) && /^[A-Za-z0-9._-]+$/.test(name)
}

/**
 * What a plain child process may read besides its own program: Node's permission model keeps its own code away from the rest. A program that it
 * starts may read what its user may.
 */
export function plainReadable(paths: readonly string[]): readonly string[] {
  const folders = [...readable, ...forNetwork, '/proc', '/sys', '/dev', '/run', ...paths.filter(isBindable)]
  return [...folders, '/tmp/attempt-*']
}

/** systemd takes a colon for the second path of a pair, and a percent sign for a specifier. */
function isBindable(path: string): boolean {
  return /^\/[A-Za-z0-9._/+@-]*$/.test(path) && path !== '/' && !path.split('/').includes('..')
}

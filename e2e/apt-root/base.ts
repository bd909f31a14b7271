import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { access, chmod, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)
const tools = ['debootstrap', 'chroot', 'mount', 'umount', 'dpkg-deb', 'apt-ftparchive']

/** Raised whenever what `prepare` does changes, so that older cached roots are not used. */
const revision = 1

/** Folder that caches base roots and holds the roots of running tests; outside the repository. */
export function cacheFolder(): string {
  const configured = process.env.XDG_CACHE_HOME
  if (configured) return join(configured, 'fleetupdate-test')
  return process.getuid?.() === 0
    ? '/var/cache/fleetupdate-test'
    : join(homedir(), '.cache', 'fleetupdate-test')
}

/** Why no apt root can be made on this machine, in one line for a skipped test; `undefined` where it can. */
export function aptRootProblem(): string | undefined {
  if (process.getuid?.() !== 0) return 'an apt root needs root: run the tests as root'
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
  const missing = tools.filter((tool) => !folders.some((folder) => existsSync(join(folder, tool))))
  if (missing.length === 0) return undefined
  return `an apt root needs ${missing.join(', ')}: apt-get install debootstrap apt-utils dpkg mount`
}

/** What a base has beyond the bare minimum. */
export type BaseFlavour = 'minimal' | 'systemd' | 'machine' | 'machine-node' | 'machine-builder'

const includes: Readonly<Record<BaseFlavour, readonly string[]>> = {
  minimal: [],
  systemd: ['--include=systemd,systemd-sysv,dbus,sudo,procps'],
  // As an operator finds it: it can fetch, and has no Node, or the distribution's.
  machine: ['--include=systemd,systemd-sysv,dbus,sudo,procps,curl'],
  'machine-node': ['--include=systemd,systemd-sysv,dbus,sudo,procps,wget,nodejs'],
  // With what building from sources needs besides Node.
  'machine-builder': ['--include=systemd,systemd-sysv,dbus,sudo,procps,curl,git,make,g++,python3'],
}

/**
 * A minimal Debian without any source of packages, made once by debootstrap (about 30 s, 200 MB) and then kept. Never run
 * anything in it: it is the lower layer of every test's root.
 */
export async function baseRoot(suite: string, flavour: BaseFlavour = 'minimal'): Promise<string> {
  const name = flavour === 'minimal' ? suite : `${suite}-${flavour}`
  const base = join(cacheFolder(), `base-${name}-${revision}`)
  if (await exists(base)) return base
  await mkdir(cacheFolder(), { recursive: true })
  const unlock = await lock(`${base}.lock`)
  try {
    if (!(await exists(base))) await makeBase(base, suite, flavour)
  } finally {
    await unlock()
  }
  return base
}

async function makeBase(base: string, suite: string, flavour: BaseFlavour): Promise<void> {
  const fresh = await mkdtemp(`${base}.part-`)
  try {
    await chmod(fresh, 0o755)
    await execute('debootstrap', ['--variant=minbase', ...includes[flavour], suite, fresh], {
      maxBuffer: 64 << 20,
    })
    await prepare(fresh)
    await rename(fresh, base)
  } finally {
    await rm(fresh, { recursive: true, force: true })
  }
}

/** Waits until no other test process holds this lock, and holds it; with this process it is gone in any case. */
async function lock(file: string): Promise<() => Promise<void>> {
  const holder = spawn('flock', [file, 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  await once(holder.stdout, 'data')
  return async () => {
    const ended = once(holder, 'close')
    holder.stdin.end()
    holder.stdout.resume()
    await ended
  }
}

async function prepare(root: string): Promise<void> {
  await rm(join(root, 'etc/apt/sources.list'), { force: true })
  await rm(join(root, 'etc/apt/sources.list.d'), { recursive: true, force: true })
  await rm(join(root, 'var/lib/apt/lists'), { recursive: true, force: true })
  await mkdir(join(root, 'etc/apt/sources.list.d'), { recursive: true })
  await mkdir(join(root, 'var/lib/apt/lists'), { recursive: true })
  await execute('chroot', [root, 'apt-get', 'clean'])
  // Nothing in the root may start a service of this machine.
  await writeFile(join(root, 'usr/sbin/policy-rc.d'), '#!/bin/sh\nexit 101\n')
  await chmod(join(root, 'usr/sbin/policy-rc.d'), 0o755)
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

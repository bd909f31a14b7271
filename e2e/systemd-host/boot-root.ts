import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AptRoot, Finished } from '../apt-root/create-apt-root.ts'

/** An apt root that runs its own systemd as PID 1, as a VM would. It shares this machine's network, so that it can dial loopback. */
export interface BootedHost {
  /** Runs a program inside, with a text for its input, and waits for its end; a non-zero exit is an answer. */
  run(argv: readonly string[], input?: string): Finished
  /** The same for what takes minutes: this process goes on meanwhile. */
  runLong(argv: readonly string[], timeoutMs: number): Promise<Finished>
  /** The process that is PID 1 inside. */
  readonly init: number
  /** Shuts it down and waits until it is gone. */
  powerOff(): Promise<void>
  /** Kills every process of it at once, as a power cut would. */
  kill(): Promise<void>
}

const groups = '/sys/fs/cgroup/unified'

/** Why no host can be booted here, in one line for a skipped test. */
export function bootProblem(): string | undefined {
  if (!existsSync('/usr/bin/systemd-nspawn'))
    return 'booting needs systemd-nspawn: apt-get install systemd-container'
  if (!existsSync(join(groups, 'cgroup.procs'))) return `booting needs a cgroup2 hierarchy at ${groups}`
  return undefined
}

/** Boots a root made with the flavour `systemd`; resolves when systemd says that it runs. */
export async function bootRoot(
  root: Pick<AptRoot, 'directory'>,
  options: { readonly networkNamespace?: string } = {},
): Promise<BootedHost> {
  const name = `fleet-${process.pid}-${randomBytes(3).toString('hex')}`
  const group = join(groups, name)
  mkdirSync(group)
  writeFileSync(join(root.directory, 'etc/machine-id'), `${randomBytes(16).toString('hex')}\n`)
  writeFileSync(join(root.directory, 'etc/hostname'), `${name}\n`)
  const { networkNamespace } = options
  const network =
    networkNamespace === undefined ? [] : [`--network-namespace-path=/run/netns/${networkNamespace}`]
  // nspawn mounts a /proc of its own.
  spawnSync('umount', ['--lazy', join(root.directory, 'proc')])
  const enter = 'echo $$ >"$1/cgroup.procs"; shift; exec systemd-nspawn -q -b --register=no --keep-unit "$@"'
  const nspawn = spawn(
    'setsid',
    ['bash', '-c', enter, 'boot', group, '-D', root.directory, `--machine=${name}`, ...network],
    {
      env: { PATH: process.env.PATH ?? '', SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let printed = ''
  nspawn.stdout.on('data', (data) => (printed += data))
  nspawn.stderr.on('data', (data) => (printed += data))
  const init = await waitFor(
    nspawn,
    () => initOf(nspawn.pid ?? 0),
    () => printed,
  )
  const run = (argv: readonly string[], input = ''): Finished => inside(init, argv, input)
  await waitFor(
    nspawn,
    () => /running|degraded/.test(run(['systemctl', 'is-system-running']).stdout) || undefined,
    () => printed,
  )
  const gone = async (): Promise<void> => {
    if (nspawn.exitCode === null && nspawn.signalCode === null) {
      const timer = setTimeout(() => nspawn.kill('SIGKILL'), 10_000)
      await new Promise((resolve) => nspawn.once('exit', resolve))
      clearTimeout(timer)
    }
    removeGroup(group)
  }
  return {
    run,
    runLong: (argv, timeoutMs) => insideLong(init, argv, timeoutMs),
    init,
    powerOff() {
      run(['systemctl', 'poweroff', '--force'])
      return gone()
    },
    kill() {
      // The kernel kills the others of its process namespace.
      process.kill(init, 'SIGKILL')
      return gone()
    },
  }
}

/** nspawn's child is PID 1 of the host; bash and setsid were replaced by exec. */
function initOf(pid: number): number | undefined {
  const children = (parent: number): number[] => {
    try {
      return readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8')
        .trim()
        .split(' ')
        .filter(Boolean)
        .map(Number)
    } catch {
      return []
    }
  }
  const pending = [pid]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const child of children(next)) {
      if (/^NSpid:\s.*\s1$/m.test(statusOf(child))) return child
      pending.push(child)
    }
  }
  return undefined
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch {
    return ''
  }
}

const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' }

function inside(init: number, argv: readonly string[], input: string): Finished {
  const { status, signal, stdout, stderr } = spawnSync('nsenter', ['-t', String(init), '-a', '--', ...argv], {
    env,
    input,
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { exitCode: status ?? 128, signal, stdout, stderr }
}

function insideLong(init: number, argv: readonly string[], timeout: number): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn('nsenter', ['-t', String(init), '-a', '--', ...argv], {
      env,
      timeout,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (data) => (stdout += data))
    child.stderr.on('data', (data) => (stderr += data))
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ exitCode: code ?? 128, signal, stdout, stderr }))
  })
}

async function waitFor<T>(child: ChildProcess, ask: () => T | undefined, printed: () => string): Promise<T> {
  const deadline = performance.now() + 60_000
  for (;;) {
    const value = ask()
    if (value !== undefined) return value
    if (child.exitCode !== null || performance.now() > deadline)
      throw new Error(`The host did not boot:\n${printed()}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** A cgroup folder can only go when its sub-folders are gone. */
function removeGroup(group: string): void {
  if (!existsSync(group)) return
  for (const entry of readdirSync(group, { withFileTypes: true }))
    if (entry.isDirectory()) removeGroup(join(group, entry.name))
  try {
    rmdirSync(group)
  } catch {
    // A process of it is still ending; the empty group is harmless.
  }
}

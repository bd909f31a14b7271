import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { dirname, join } from 'node:path'
import { getuid } from 'node:process'
import { findProgram, startProcess } from '../run.ts'
import type { IsolatedSource, StartIsolated } from './isolated-process.ts'
import { programForNobody } from './program-for-nobody.ts'
import { readRootNames } from './root-names.ts'
import { nodeLimits, plainReadable, sandboxCommand } from './sandbox.ts'
import { childStarted, type Started } from './started.ts'

export interface IsolationHost {
  readonly node: string
  /** The agent's main module: executor-process.js lies beside it. */
  readonly main: string
  readonly systemd: boolean
  /** Asks the root helper for a sandbox; undefined where there is no helper. */
  readonly throughHelper: StartIsolated | undefined
}

/**
 * How third-party executors are started on this host: in a systemd sandbox where the agent has a way to one, else as a plain child process
 * with what Node and the kernel offer.
 */
export function createStartIsolated(host: IsolationHost): StartIsolated {
  const program = join(dirname(host.main), 'executor-process.js')
  return (source, seconds) => {
    if (host.systemd && host.throughHelper) return host.throughHelper(source, seconds)
    if (host.systemd && getuid?.() === 0) return inSandbox(host, program, source, seconds)
    return childStarted(plainChild(host, program, source, seconds))
  }
}

function inSandbox(
  host: IsolationHost,
  program: string,
  { id, manifest }: IsolatedSource,
  seconds: number,
): Started {
  const unit = `fleetupdate-executor-${id}-${randomBytes(6).toString('hex')}`
  const { network = false, paths = [] } = manifest
  const wishes = { unit, node: host.node, program, network, paths, seconds, rootNames: readRootNames() }
  const child = startProcess({
    program: '/usr/bin/systemd-run',
    args: sandboxCommand(wishes),
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  return {
    ...childStarted(child),
    // Ending systemd-run would leave the unit alone.
    kill: () =>
      void startProcess({
        program: '/usr/bin/systemctl',
        args: ['kill', '--signal=KILL', unit],
        stdio: ['ignore', 'ignore', 'ignore'],
      }),
  }
}

const nobody = 65_534
const dataBytes = 512 * 1024 * 1024
const fileBytes = 64 * 1024 * 1024

/** No environment, little memory, few files, an end with whoever started it; as nobody where the agent is root. */
function plainChild(
  host: IsolationHost,
  installed: string,
  { manifest }: IsolatedSource,
  seconds: number,
): ChildProcess {
  const isRoot = getuid?.() === 0
  const { path: program, remove } = isRoot
    ? programForNobody(installed)
    : { path: installed, remove: () => undefined }
  const permission =
    Number(process.versions.node.split('.')[0]) >= 23 ? '--permission' : '--experimental-permission'
  const children = (manifest.programs ?? []).length > 0 ? ['--allow-child-process'] : []
  const node = [
    host.node,
    ...nodeLimits,
    '--no-warnings',
    permission,
    ...[dirname(program), ...plainReadable(manifest.paths ?? [])].map((path) => `--allow-fs-read=${path}`),
    '--allow-fs-write=/tmp/attempt-*',
    ...children,
    program,
  ]
  const limits = [
    '--core=0',
    '--nofile=256',
    `--cpu=${seconds}`,
    `--data=${dataBytes}`,
    `--fsize=${fileBytes}`,
  ]
  // Both belong to util-linux; elsewhere it goes without them.
  const wrappers = [
    ['setpriv', '--pdeathsig', 'KILL', '--'],
    ['prlimit', ...limits, '--'],
  ].flatMap(([name = '', ...rest]) => {
    const path = findProgram(name)
    return path === undefined ? [] : [path, ...rest]
  })
  const [first = '', ...args] = [...wrappers, ...node]
  const child = startProcess({
    program: first,
    args,
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(isRoot ? { user: nobody } : {}),
  })
  for (const end of ['exit', 'error']) child.once(end, remove)
  return child
}

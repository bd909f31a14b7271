import type { ChildProcess } from 'node:child_process'
import type { Privilege, PrivilegeState } from '@fleetupdate/sdk'
import { agentError, describeError } from '../errors.ts'
import { findProgram, startProcess } from '../run.ts'
import { probeThroughHelper } from './probe.ts'
import { sudoersLine } from './sudoers.ts'

export interface PrivilegedStart {
  readonly plugin: string
  readonly privilege: Privilege
  readonly args: readonly string[]
  readonly stdio: { readonly out: number | 'pipe'; readonly err: number | 'pipe'; readonly status?: number }
  readonly cwd?: string | undefined
}

export interface StartedProgram {
  readonly child: ChildProcess
  /** How to end it where a plain signal does not reach it. */
  readonly end: ((signal: 'SIGTERM' | 'SIGKILL') => void) | undefined
}

export interface DeclaredPrivilege {
  readonly plugin: string
  readonly privilege: Privilege
}

/** The one interface through which anything becomes root. */
export interface PrivilegedWay {
  readonly kind: 'direct' | 'sudo' | 'none'
  /** Starts a program whose arguments already matched; the helper checks them again. Standard input is empty. */
  run(start: PrivilegedStart): StartedProgram
  /** Starts a runner in a systemd unit of its own; undefined where this way cannot. */
  readonly startUnit: ((runner: UnitStart) => ChildProcess) | undefined
  /** Whether each privilege works without a password, and the exact line or step that is missing. */
  probe(privileges: readonly DeclaredPrivilege[]): Promise<readonly PrivilegeState[]>
}

export interface UnitStart {
  readonly commandId: string
  readonly epoch: number
  /** The runner's whole argument list, program first. */
  readonly command: readonly string[]
}

export interface WayOptions {
  /** Absolute path of the root helper of this installation. */
  readonly helper: string
  readonly systemd: boolean
}

/** The way of a kind. */
export function createPrivilegedWay(kind: PrivilegedWay['kind'], options: WayOptions): PrivilegedWay {
  if (kind === 'direct') return direct(options)
  return kind === 'sudo' ? sudo(options) : none(options)
}

/** The agent is root itself. */
function direct({ systemd }: WayOptions): PrivilegedWay {
  return {
    kind: 'direct',
    run: ({ privilege, args, stdio, cwd }) => ({
      child: startProcess({
        program: privilege.program,
        args,
        env: privilege.env ?? {},
        cwd: cwd ?? '/',
        stdio: ['ignore', stdio.out, stdio.err, ...(stdio.status === undefined ? [] : [stdio.status])],
      }),
      end: undefined,
    }),
    startUnit: systemd ? (runner) => startProcess(systemdRun(runner)) : undefined,
    probe: async (privileges) =>
      privileges.map(({ plugin, privilege }) => {
        const ok = findProgram(privilege.program) !== undefined
        const missing = `Install the program ${privilege.program}.`
        return { id: privilege.id, plugin, ok, ...(ok ? {} : { missing }) }
      }),
  }
}

/** `sudo -n HELPER` without arguments, the request on its standard input. */
function sudo({ helper, systemd }: WayOptions): PrivilegedWay {
  const ask = (request: object, stdio: readonly (number | 'pipe')[]): ChildProcess => {
    const program = findProgram('sudo')
    if (program === undefined) throw agentError('FLT_RUN_MISSING', { program: 'sudo' })
    const child = startProcess({ program, args: ['-n', helper], stdio: ['pipe', ...stdio] })
    child.stdin?.on('error', () => undefined)
    child.stdin?.write(`${JSON.stringify(request)}\n`)
    return child
  }
  return {
    kind: 'sudo',
    run({ plugin, privilege, args, stdio }) {
      const child = ask({ verb: 'run', plugin, privilege: privilege.id, args }, [stdio.out, stdio.err])
      // A signal cannot reach a process of root; the helper takes the wish from its standard input.
      const end = (kind: 'SIGTERM' | 'SIGKILL'): void =>
        void child.stdin?.write(kind === 'SIGTERM' ? 'term\n' : 'kill\n')
      return { child, end }
    },
    startUnit: systemd
      ? ({ commandId, epoch }) => ask({ verb: 'start', commandId, epoch }, ['pipe', 'pipe'])
      : undefined,
    async probe(privileges) {
      if (privileges.length === 0) return []
      const asked = privileges.map(({ plugin, privilege }) => ({ plugin, privilege: privilege.id }))
      const answers = await probeThroughHelper(() =>
        ask({ verb: 'probe', privileges: asked }, ['pipe', 'pipe']),
      ).catch((error) => describeError(error))
      return privileges.map(({ plugin, privilege }, index) => {
        const state = typeof answers === 'string' ? { ok: false, missing: answers } : answers[index]
        if (state?.ok) return { id: privilege.id, plugin, ok: true }
        const missing = state?.missing ?? `Add this line with visudo: ${sudoersLine(helper)}`
        return { id: privilege.id, plugin, ok: false, missing }
      })
    },
  }
}

/** Nothing may run as root here. */
function none({ helper }: WayOptions): PrivilegedWay {
  const missing = `Set agent.privilege to auto, and add this line with visudo: ${sudoersLine(helper)}`
  return {
    kind: 'none',
    run({ privilege }) {
      throw agentError('FLT_PRIVILEGE_MISSING', { program: privilege.program, missing })
    },
    startUnit: undefined,
    probe: async (privileges) =>
      privileges.map(({ plugin, privilege }) => ({ id: privilege.id, plugin, ok: false, missing })),
  }
}

function systemdRun({ commandId, epoch, command }: UnitStart): Parameters<typeof startProcess>[0] {
  const unit = `--unit=fleetupdate-${commandId}-${epoch}`
  return {
    program: '/usr/bin/systemd-run',
    args: [
      unit,
      '--collect',
      '--quiet',
      '--property=KillMode=process',
      '--property=OOMPolicy=continue',
      '--',
      ...command,
    ],
    stdio: ['ignore', 'pipe', 'pipe'],
  }
}

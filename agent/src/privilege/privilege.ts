import type { Privilege, PrivilegeState } from '@fleetupdate/sdk'
import { agentError } from '../errors.ts'
import type { Started } from '../isolation/started.ts'
import type { Program } from '../run.ts'
import { createDirectWay } from './direct-way.ts'
import { createHelperWay } from './helper-way.ts'
import { sudoersLine } from './sudoers.ts'

/** A program that is to run as root. What it writes goes into files, so that nobody who reads along can hold it up or break it. */
export interface PrivilegedStart {
  readonly plugin: string
  readonly privilege: Privilege
  readonly args: readonly string[]
  /** SHA-256 of the plugin's bundle; undefined where it came with the agent. */
  readonly bundle?: string | undefined
  /** Absolute paths of existing files in the agent's state folder; they are appended to. `out` and `err` may be the same. */
  readonly files: { readonly out: string; readonly err: string; readonly status?: string }
  readonly cwd?: string | undefined
}

export interface DeclaredPrivilege {
  readonly plugin: string
  /** As in {@link PrivilegedStart}. */
  readonly bundle?: string | undefined
  readonly privilege: Privilege
}

/** How systemd answered to a unit that was to start. */
export interface UnitAnswer {
  readonly exitCode: number
  readonly said: string
}

/** The one interface through which anything becomes root. */
export interface PrivilegedWay {
  readonly kind: 'direct' | 'socket' | 'sudo' | 'none'
  /**
   * Starts a program whose arguments already matched (the helper checks them again); resolves when it runs. Rejects with
   * FLT_PRIVILEGE_MISSING, FLT_PRIVILEGE_POLICY or FLT_PRIVILEGE_REFUSED. Standard input is empty.
   */
  run(start: PrivilegedStart): Promise<Program>
  /** Starts a runner in a systemd unit of its own; undefined where this way cannot. */
  readonly startUnit: ((runner: UnitStart) => Promise<UnitAnswer>) | undefined
  /** A request to the root helper that stays open; undefined where there is no helper. */
  readonly open: ((request: object) => Started) | undefined
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
  if (kind === 'direct') return createDirectWay(options)
  return kind === 'none' ? none(options) : createHelperWay(kind, options)
}

/** Nothing may run as root here. */
function none({ helper, systemd }: WayOptions): PrivilegedWay {
  const socket = 'systemctl enable --now orchestrator-helper.socket'
  const line = `add this line with visudo: ${sudoersLine(helper)}`
  const missing = `Set agent.privilege to auto, and ${systemd ? `run: ${socket}, or ${line}` : line}`
  return {
    kind: 'none',
    async run({ privilege }) {
      throw agentError('FLT_PRIVILEGE_MISSING', { program: privilege.program, missing })
    },
    startUnit: undefined,
    open: undefined,
    probe: async (privileges) =>
      privileges.map(({ plugin, privilege }) => ({ id: privilege.id, plugin, ok: false, missing })),
  }
}

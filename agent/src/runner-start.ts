import { closeSync, openSync } from 'node:fs'
import type { Log } from '@fleetupdate/sdk'
import type { AttemptFolder } from './attempts.ts'
import { describeError } from './errors.ts'
import type { PrivilegedWay } from './privilege/privilege.ts'
import { startProcess } from './run.ts'

export interface RunnerStart {
  readonly commandId: string
  readonly epoch: number
  readonly folder: AttemptFolder
}

/** Starts the runner of an attempt, apart from the agent. `ended` is called where the runner is known to be gone or never came. */
export type StartRunner = (start: RunnerStart, ended: () => void) => void

export interface RunnerProgram {
  /** Absolute path of node and its options. */
  readonly node: readonly string[]
  /** Absolute path of the agent's main module. */
  readonly main: string
}

/**
 * With systemd and a way to root: a transient unit named after the attempt, which outlives the agent and which systemd refuses to start twice. Else, or
 * where systemd refuses: a detached process in a session of its own. Should both ever come up, the claim lets only one run.
 */
export function createRunnerStart(program: RunnerProgram, way: PrivilegedWay, log: Log): StartRunner {
  return (start, ended) => {
    const { folder, commandId, epoch } = start
    const command = [...program.node, program.main, 'attempt', folder.dir]
    if (!way.startUnit) return detached(command, folder, ended)
    way.startUnit({ commandId, epoch, command }).then(
      ({ exitCode, said }) => {
        if (exitCode === 0) return
        log.warn(`systemd did not start the runner: ${said}. It is started as a plain process.`)
        detached(command, folder, ended)
      },
      (error) => {
        log.warn(`${describeError(error)} The runner is started as a plain process.`)
        detached(command, folder, ended)
      },
    )
  }
}

function detached(command: readonly string[], folder: AttemptFolder, ended: () => void): void {
  const [program = '', ...args] = command
  const log = openSync(folder.runnerLog, 'a', 0o600)
  try {
    const child = startProcess({ program, args, stdio: ['ignore', log, log] })
    child.once('error', ended)
    child.once('exit', ended)
    child.unref()
  } finally {
    closeSync(log)
  }
}

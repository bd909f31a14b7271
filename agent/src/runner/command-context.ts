import { writeSync } from 'node:fs'
import type { CommandContext, Log, Manifest, PrivilegeState } from '@fleetupdate/sdk'
import { FleetError } from '@fleetupdate/sdk'
import { type AttemptFolder, forgetProgram, noteProgram, writeProgress } from '../attempts.ts'
import { createExecutorContext } from '../executor-context.ts'
import type { PrivilegedWay } from '../privilege/privilege.ts'
import type { AttemptProgress, AttemptRequest } from '../schemas.ts'
import type { Stopper } from './stopper.ts'

export interface CommandContextOptions {
  readonly folder: AttemptFolder
  readonly request: AttemptRequest
  readonly manifest: Manifest
  /** SHA-256 of the bundle the executor came in; undefined where it came with the agent. */
  readonly bundle: string | undefined
  readonly stopper: Stopper
  readonly way: PrivilegedWay
  /** output.log, opened for appending. */
  readonly outputFd: number
  readonly log: Log
  privileges(): Promise<readonly PrivilegeState[]>
  excludes(packageName: string): Promise<boolean>
}

/** What a command gets: everything an executor gets, and its attempt. */
export function createCommandContext(options: CommandContextOptions): CommandContext {
  const { folder, request, stopper, outputFd, manifest, way, log, privileges, excludes } = options
  const executor = createExecutorContext({
    manifest,
    bundle: options.bundle,
    way,
    log,
    privileges,
    excludes,
    output: { fd: outputFd, path: folder.output },
    scratch: folder.work,
    signal: stopper.signal,
    force: stopper.force,
    started(pid, { keep }) {
      const noted = noteProgram(folder, pid, keep)
      const release = keep ? stopper.hold() : undefined
      return () => {
        release?.()
        noted.then(() => forgetProgram(folder, pid)).catch((error) => log.warn(String(error)))
      }
    },
  })
  const progress = createProgress(folder, log)
  return {
    ...executor,
    directory: folder.work,
    commandId: request.commandId,
    precondition: request.precondition,
    write(text) {
      const bytes = Buffer.from(text, 'utf8')
      for (let at = 0; at < bytes.length; ) at += writeSync(outputFd, bytes, at)
    },
    progress,
    checkpoint: () => stopper.checkpoint(),
    fail(reason, details) {
      throw new FleetError('FLT_COMMAND_FAILED', 500, reason, details)
    },
  }
}

/** Writes the newest progress, one write at a time; values out of range are brought into it. */
function createProgress(folder: AttemptFolder, log: Log): (update: AttemptProgress) => void {
  let current: AttemptProgress = {}
  let writing = false
  let waiting = false
  const write = async (): Promise<void> => {
    writing = true
    do {
      waiting = false
      await writeProgress(folder, current)
    } while (waiting)
    writing = false
  }
  return ({ percent, message }) => {
    const known =
      percent === undefined || Number.isNaN(percent) ? current.percent : Math.min(100, Math.max(0, percent))
    const said = message === undefined ? current.message : message.slice(0, 500)
    current = {
      ...(known === undefined ? {} : { percent: known }),
      ...(said === undefined ? {} : { message: said }),
    }
    waiting = true
    if (!writing) write().catch((error) => log.warn(`The progress cannot be written: ${String(error)}`))
  }
}

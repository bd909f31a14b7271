import { rm } from 'node:fs/promises'
import { performance } from 'node:perf_hooks'
import type { CommandContext, Log, Manifest } from '@fleetupdate/sdk'
import {
  type AttemptFolder,
  attemptFolder,
  claimAttempt,
  openOutput,
  readRequest,
  runningPrograms,
  syncOutput,
  writeEnding,
} from '../attempts.ts'
import { makeFolder } from '../durable-file.ts'
import { agentError, describeError, errorCode } from '../errors.ts'
import { loadExecutor, readExecutorPackage } from '../executor-loader.ts'
import { isolatedCommand } from '../isolation/isolated-command.ts'
import { grantedManifest, type StartIsolated } from '../isolation/isolated-process.ts'
import { createPolicy } from '../policy.ts'
import { loadPrivileges } from '../privilege/declared.ts'
import type { PrivilegedWay } from '../privilege/privilege.ts'
import { signalGroup } from '../run.ts'
import type { AttemptEnding, AttemptRequest } from '../schemas.ts'
import { createCommandContext } from './command-context.ts'
import { createStopper, type Stopper } from './stopper.ts'

export interface RunnerOptions {
  readonly dir: string
  readonly pid: number
  way(kind: PrivilegedWay['kind']): PrivilegedWay
  startIsolated(kind: PrivilegedWay['kind']): StartIsolated
  readonly log: Log
  /** SIGTERM of the runner itself: the unit is stopped, the machine shuts down. */
  readonly shutdown: AbortSignal
  /** Something in the executor threw where nobody could catch it; the reason is the error. */
  readonly crashed: AbortSignal
}

/** How long a stopped command may take to come back once its programs were told to end. */
const graceMs = 20_000
const resultBytes = 512 * 1024

/**
 * Runs one attempt to its end: claims it, loads its one executor, runs the command's function, writes `result.json`. Throws FLT_ATTEMPT_TAKEN
 * where another process claimed it before.
 */
export async function runAttempt(options: RunnerOptions): Promise<AttemptEnding> {
  const folder = attemptFolder(options.dir)
  const request = await readRequest(folder)
  if (!request)
    throw agentError('FLT_ATTEMPT_INVALID', { dir: folder.dir, problem: 'its request is missing or damaged' })
  if (!(await claimAttempt(folder, options.pid))) throw agentError('FLT_ATTEMPT_TAKEN', { dir: folder.dir })

  const stopper = createStopper(folder, request.endless ? undefined : request.timeoutSeconds * 1000)
  options.shutdown.addEventListener('abort', () => stopper.stop('shutdown'), { once: true })
  const noted: Noted = { becameRoot: false }
  let ending: Verdict
  try {
    ending = await run(options, folder, request, stopper, noted)
  } catch (error) {
    ending = verdict(error, stopper, noted)
  } finally {
    stopper.close()
  }
  await endLeftovers(folder)
  // By the clock that said when it started, whatever this machine's own says: this process began then.
  const finishedAt = new Date(Date.parse(request.startedAt) + performance.now()).toISOString()
  const outputSize = await syncOutput(folder)
  const written: AttemptEnding = { ...ending, outputSize, startedAt: request.startedAt, finishedAt }
  await rm(folder.work, { recursive: true, force: true })
  await writeEnding(folder, written)
  return written
}

type Verdict = Pick<AttemptEnding, 'state' | 'reason' | 'exitCode' | 'result' | 'refusal'>

interface Noted {
  becameRoot: boolean
}

async function run(
  options: RunnerOptions,
  folder: AttemptFolder,
  request: AttemptRequest,
  stopper: Stopper,
  noted: Noted,
): Promise<Verdict> {
  const { command, manifest, safePoint } = await findCommand(options, request)
  stopper.begin(safePoint ? 'safe-point' : 'at-once')
  await makeFolder(folder.work)
  const output = await openOutput(folder)
  const way = watched(options.way(request.way), noted)
  const context: CommandContext = createCommandContext({
    folder,
    request,
    stopper,
    way,
    log: options.log,
    manifest,
    bundle: request.isolated?.bundle,
    outputFd: output.fd,
    privileges: async () => way.probe(await loadPrivileges(request.executors)),
    excludes: excluder(request),
  })
  try {
    const result: unknown = await Promise.race([
      Promise.resolve(command(request.input, context)),
      stopper.overdue(graceMs),
      whenAborted(options.crashed),
    ])
    // A command that was told to stop and came back in peace had nothing left to stop.
    return { state: 'succeeded', exitCode: 0, ...(result === undefined ? {} : { result: asJson(result) }) }
  } finally {
    await output.close().catch(() => undefined)
  }
}

interface Found {
  readonly command: (input: unknown, context: CommandContext) => unknown
  readonly manifest: Manifest
  readonly safePoint: boolean
}

/** The function to run: the executor's own, or one that has a process of its own do it. */
async function findCommand(options: RunnerOptions, request: AttemptRequest): Promise<Found> {
  const { folder, plugin, command: name, isolated } = request
  const source = await readExecutorPackage(folder, plugin)
  if (!source) throw agentError('FLT_EXECUTOR_INVALID', { folder, problem: 'it is gone' })
  const { manifest, entry } = source
  if (isolated) {
    const granted = grantedManifest(manifest, isolated.bundle)
    const seconds = (request.endless ? 7 * 86_400 : request.timeoutSeconds) + 60
    const command = isolatedCommand(options.startIsolated(request.way), {
      source: {
        id: plugin,
        manifest: granted,
        entry,
        bundle: isolated.bundle,
        entrySha256: isolated.entrySha256,
      },
      command: name,
      seconds,
    })
    // Its programs run inside its own process; only what becomes root is started from here.
    return { command, manifest: { ...granted, programs: [] }, safePoint: isolated.safePoint }
  }
  const executor = await loadExecutor(source)
  const command = executor.commands[name]
  if (!command) throw agentError('FLT_EXECUTOR_INVALID', { folder, problem: `it has no command "${name}"` })
  return { command, manifest, safePoint: atSafePoints(executor.contract.commands[name]) }
}

/** As the policy says when the attempt begins; the host asks it anew before anything becomes root. */
function excluder({ config }: AttemptRequest): (packageName: string) => Promise<boolean> {
  if (config === undefined) return async () => false
  const rule = createPolicy(config, { uid: process.getuid?.() ?? 0 }).excluder()
  return async (packageName) => (await rule)(packageName)
}

/** Notes when something that may change the machine became root. */
function watched(way: PrivilegedWay, noted: Noted): PrivilegedWay {
  return {
    ...way,
    async run(start) {
      const program = await way.run(start)
      if (start.privilege.effect !== 'observe') noted.becameRoot = true
      return program
    },
  }
}

function verdict(error: unknown, { cause, signal }: Stopper, { becameRoot }: Noted): Verdict {
  const stopped = ['FLT_ATTEMPT_STOPPED', 'FLT_RUN_ABORTED'].includes(errorCode(error)) || isAbort(error)
  const reason = describeError(stopped && signal.aborted ? signal.reason : error).slice(0, 4000)
  if (cause === 'timeout' && stopped) return { state: 'timed_out', reason }
  if (cause === 'cancel' && stopped) return { state: 'cancelled', reason }
  if (cause === 'shutdown' && stopped) return { state: 'interrupted', reason }
  // Refused before it changed anything: that is no failure, it is the will of the machine's owner.
  if (errorCode(error) === 'FLT_PRIVILEGE_POLICY' && !becameRoot)
    return { state: 'failed', refusal: 'policy', reason }
  const exitCode = exitCodeOf(error)
  return { state: 'failed', reason, ...(exitCode === undefined ? {} : { exitCode }) }
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}

function exitCodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('details' in error)) return undefined
  const { details } = error
  if (typeof details !== 'object' || details === null || !('exitCode' in details)) return undefined
  const { exitCode } = details
  return typeof exitCode === 'number' && Number.isInteger(exitCode) && Math.abs(exitCode) <= 1024
    ? exitCode
    : undefined
}

/** What is not JSON, or does not fit into a frame, would be lost silently later; here it is an error of the executor. */
function asJson(result: unknown): unknown {
  const text = JSON.stringify(result) ?? 'null'
  const bytes = Buffer.byteLength(text)
  if (bytes > resultBytes) throw agentError('FLT_ATTEMPT_RESULT_TOO_LARGE', { bytes, limit: resultBytes })
  return JSON.parse(text)
}

/** A program that the command did not wait for must not outlive it, unless it may never be ended. */
async function endLeftovers(folder: AttemptFolder): Promise<void> {
  for (const program of await runningPrograms(folder))
    if (program.keep !== true) signalGroup(program, 'SIGKILL')
}

function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

function atSafePoints(definition: unknown): boolean {
  return (
    typeof definition === 'object' &&
    definition !== null &&
    'cancel' in definition &&
    definition.cancel === 'safe-point'
  )
}

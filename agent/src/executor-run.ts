import { closeSync, openSync, writeSync } from 'node:fs'
import type { Manifest, Privilege, Run, RunOptions, RunResult } from '@fleetupdate/sdk'
import { agentError } from './errors.ts'
import { outputEnd, outputLength } from './output-end.ts'
import { createCapture } from './privilege/capture.ts'
import { matchPrivilege } from './privilege/match.ts'
import type { PrivilegedWay } from './privilege/privilege.ts'
import { childProgram, findProgram, type Program, startProcess, supervise } from './run.ts'

export interface RunSettings {
  readonly manifest: Manifest
  /** SHA-256 of the bundle the executor came in; undefined where it came with the agent. */
  readonly bundle?: string | undefined
  readonly way: PrivilegedWay
  /** Ends what may be ended. */
  readonly signal: AbortSignal
  /** Ends everything, also programs with `onAbort: 'never'`. */
  readonly force?: AbortSignal
  /** The output file of an attempt, opened for appending; absent while facts are collected. */
  readonly output?: { readonly fd: number; readonly path: string }
  /** A folder of the agent's state for what privileged programs write while somebody waits for it. */
  readonly scratch: string
  /** Called around each program's life, so that somebody else can find it should this process die. */
  readonly started?: (pid: number, options: { readonly keep: boolean }) => () => void
}

/** The `run` of one executor: it starts what its manifest declares, as root where program and arguments match a privilege, and nothing else. */
export function createRun(settings: RunSettings): Run {
  return async (program, args = [], options = {}) => {
    const { output } = settings
    const path = findProgram(program)
    const privilege = matchPrivilege(settings.manifest.privileges ?? [], path ?? program, args)
    const declared = settings.manifest.programs?.includes(program) === true
    if (!privilege && !declared)
      throw agentError('FLT_RUN_UNDECLARED', {
        plugin: settings.manifest.id,
        program: [program, ...args].join(' '),
      })
    if (path === undefined) throw agentError('FLT_RUN_MISSING', { program })
    const asRoot = privilege !== undefined && (settings.way.kind !== 'none' || !declared)
    if (asRoot && options.input !== undefined) throw agentError('FLT_RUN_INPUT', { program })
    if (output !== undefined) writeSync(output.fd, `$ ${shownCommand(program, args)}\n`)

    const result = await start(settings, path, args, options, asRoot ? privilege : undefined)
    if ((options.okCodes ?? [0]).includes(result.exitCode) && result.signal === null) return result
    throw runFailure(program, result)
  }
}

async function start(
  settings: RunSettings,
  path: string,
  args: readonly string[],
  options: RunOptions,
  privilege: Privilege | undefined,
): Promise<RunResult> {
  const toLog = settings.output !== undefined && (options.output ?? 'log') === 'log'
  if (!privilege) return supervised(settings, options, startPlain(settings, path, args, options, toLog), path)
  const { manifest, way, scratch, output } = settings
  const capture = toLog ? undefined : await createCapture(scratch)
  try {
    const files = capture?.files ?? { out: output?.path ?? '', err: output?.path ?? '' }
    const { statusFile: status } = options
    const program = await way.run({
      ...{ plugin: manifest.id, bundle: settings.bundle, privilege, args, cwd: options.cwd },
      files: { ...files, ...(status === undefined ? {} : { status }) },
    })
    const result = await supervised(settings, options, program, path)
    return { ...result, ...(await capture?.read(path)) }
  } finally {
    await capture?.remove()
  }
}

function startPlain(
  { output }: RunSettings,
  program: string,
  args: readonly string[],
  options: RunOptions,
  toLog: boolean,
): Program {
  const sink = toLog && output ? output.fd : 'pipe'
  const status = options.statusFile === undefined ? [] : [openSync(options.statusFile, 'a')]
  try {
    const input = options.input === undefined ? 'ignore' : 'pipe'
    const { env = {}, cwd = '/' } = options
    return childProgram(
      startProcess({ program, args, env, cwd, stdio: [input, sink, sink, ...status] }),
      program,
    )
  } finally {
    for (const one of status) closeSync(one)
  }
}

/** Waits for it as its executor wants it, known meanwhile to whoever must find it should this process die. */
async function supervised(
  settings: RunSettings,
  { onAbort, output = 'log', timeoutMs, input }: RunOptions,
  program: Program,
  name: string,
): Promise<RunResult> {
  const log = output === 'log' ? settings.output : undefined
  const before = log === undefined ? 0 : outputLength(log.fd)
  const keep = onAbort === 'never'
  const signal = keep ? settings.force : settings.signal
  const forget = program.pid === undefined ? undefined : settings.started?.(program.pid, { keep })
  try {
    const result = await supervise(program, {
      name,
      ...(signal ? { signal } : {}),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(input === undefined ? {} : { input }),
    })
    return log === undefined ? result : { ...result, tail: outputEnd(log.fd, before) }
  } finally {
    forget?.()
  }
}

/** The error carries what the program said, for executors that read it. */
export function runFailure(program: string, { exitCode, signal, stdout, stderr }: RunResult): Error {
  const ending = signal === null ? `exit code ${exitCode}` : `signal ${signal}`
  const last = stderr.trim().split('\n').at(-1) ?? ''
  const detail = last === '' ? '.' : `: ${last}`
  return agentError(
    'FLT_RUN_FAILED',
    { program, ending, detail },
    { details: { program, exitCode, signal, stdout, stderr } },
  )
}

/** A started program as one line for people. */
export function shownCommand(program: string, args: readonly string[]): string {
  return [program, ...args].map(quoted).join(' ')
}

function quoted(argument: string): string {
  return /^[\w@%+=:,./~-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`
}

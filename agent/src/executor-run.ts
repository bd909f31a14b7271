import { closeSync, openSync, writeSync } from 'node:fs'
import type { Manifest, Privilege, Run, RunOptions, RunResult } from '@fleetupdate/sdk'
import { agentError } from './errors.ts'
import { outputEnd, outputLength } from './output-end.ts'
import { matchPrivilege } from './privilege/match.ts'
import type { PrivilegedWay } from './privilege/privilege.ts'
import { findProgram, startProcess, supervise } from './run.ts'

export interface RunSettings {
  readonly manifest: Manifest
  readonly way: PrivilegedWay
  /** Ends what may be ended. */
  readonly signal: AbortSignal
  /** Ends everything, also programs with `onAbort: 'never'`. */
  readonly force?: AbortSignal
  /** The output file of an attempt; absent while facts are collected. */
  readonly outputFd?: number
  /** Called around each program's life, so that somebody else can find it should this process die. */
  readonly started?: (pid: number, options: { readonly keep: boolean }) => () => void
}

/** The `run` of one executor: it starts what its manifest declares, as root where program and arguments match a privilege, and nothing else. */
export function createRun(settings: RunSettings): Run {
  return async (program, args = [], options = {}) => {
    const { outputFd } = settings
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
    if (outputFd !== undefined) writeSync(outputFd, `$ ${[program, ...args].map(quoted).join(' ')}\n`)
    if (asRoot) await requirePrivilege(settings, privilege)

    const result = await start(settings, path, args, options, asRoot ? privilege : undefined)
    if ((options.okCodes ?? [0]).includes(result.exitCode) && result.signal === null) return result
    throw failure(program, result)
  }
}

/** Through sudo a refusal would look like a failure of the program, so the way is asked first what is missing. */
async function requirePrivilege({ way, manifest }: RunSettings, privilege: Privilege): Promise<void> {
  if (way.kind !== 'sudo') return
  const [state] = await way.probe([{ plugin: manifest.id, privilege }])
  if (state?.ok) return
  throw agentError('FLT_PRIVILEGE_MISSING', { program: privilege.program, missing: state?.missing ?? '' })
}

async function start(
  settings: RunSettings,
  path: string,
  args: readonly string[],
  options: RunOptions,
  privilege: Privilege | undefined,
): Promise<RunResult> {
  const { outputFd, manifest, way } = settings
  const toLog = outputFd !== undefined && (options.output ?? 'log') === 'log'
  const before = toLog ? outputLength(outputFd) : 0
  const statusFd = options.statusFile === undefined ? undefined : openSync(options.statusFile, 'a')
  try {
    const sink = toLog ? outputFd : 'pipe'
    const stdio = {
      out: sink,
      err: sink,
      ...(statusFd === undefined ? {} : { status: statusFd }),
    } as const
    const started = privilege
      ? way.run({ plugin: manifest.id, privilege, args, stdio, cwd: options.cwd })
      : {
          child: startProcess({
            program: path,
            args,
            env: options.env ?? {},
            cwd: options.cwd ?? '/',
            stdio: [
              options.input === undefined ? 'ignore' : 'pipe',
              sink,
              sink,
              ...(statusFd === undefined ? [] : [statusFd]),
            ],
          }),
          end: undefined,
        }
    const keep = options.onAbort === 'never'
    const { pid } = started.child
    const forget = pid === undefined ? undefined : settings.started?.(pid, { keep })
    try {
      const result = await supervise(started.child, {
        name: path,
        ...(keep ? {} : { signal: settings.signal }),
        ...(keep && settings.force ? { signal: settings.force } : {}),
        ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
        ...(options.input === undefined ? {} : { input: options.input }),
        ...(started.end ? { end: started.end } : {}),
      })
      return toLog ? { ...result, tail: outputEnd(outputFd, before) } : result
    } finally {
      forget?.()
    }
  } finally {
    if (statusFd !== undefined) closeSync(statusFd)
  }
}

/** The error carries what the program said, for executors that read it. */
function failure(program: string, { exitCode, signal, stdout, stderr }: RunResult): Error {
  const ending = signal === null ? `exit code ${exitCode}` : `signal ${signal}`
  const last = stderr.trim().split('\n').at(-1) ?? ''
  const detail = last === '' ? '.' : `: ${last}`
  return agentError(
    'FLT_RUN_FAILED',
    { program, ending, detail },
    { details: { program, exitCode, signal, stdout, stderr } },
  )
}

function quoted(argument: string): string {
  return /^[\w@%+=:,./~-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`
}

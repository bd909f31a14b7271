import type { Manifest, Run, RunOptions, RunResult } from '@fleetupdate/sdk'
import { agentError } from '../errors.ts'
import { runFailure, shownCommand } from '../executor-run.ts'
import { matchPrivilege } from '../privilege/match.ts'
import { childProgram, findProgram, startProcess, supervise } from '../run.ts'

export interface LocalRunSettings {
  readonly manifest: Manifest
  /** Where output goes unless a call says otherwise. */
  readonly output: 'capture' | 'log'
  readonly signal: AbortSignal
  write(text: string): void
  /** Has it started as root by whoever may. */
  asRoot(program: string, args: readonly string[], options: RunOptions): Promise<RunResult>
}

const tailLength = 16 * 1024

/** The `run` of an executor inside its own process: declared programs are its children and share its limits; privileges are asked for. */
export function createLocalRun(settings: LocalRunSettings): Run {
  const { manifest, signal, write } = settings
  return async (program, args = [], options = {}) => {
    const path = findProgram(program)
    const output = options.output ?? settings.output
    if (matchPrivilege(manifest.privileges ?? [], path ?? program, args))
      return settings.asRoot(program, args, { ...options, output })
    if (!manifest.programs?.includes(program))
      throw agentError('FLT_RUN_UNDECLARED', { plugin: manifest.id, program: [program, ...args].join(' ') })
    if (path === undefined) throw agentError('FLT_RUN_MISSING', { program })
    if (settings.output === 'log') write(`$ ${shownCommand(program, args)}\n`)
    const result = await start(path, args, { ...options, output })
    if ((options.okCodes ?? [0]).includes(result.exitCode) && result.signal === null) return result
    throw runFailure(program, result)
  }

  async function start(path: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
    const { input, cwd = '/', env = {}, timeoutMs, onAbort, output } = options
    const child = startProcess({
      ...{ program: path, args, env, cwd },
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    })
    let tail = ''
    const show = (text: string): void => {
      tail = (tail + text).slice(-tailLength)
      write(text)
    }
    const toLog = output === 'log'
    const result = await supervise(childProgram(child, path), {
      name: path,
      ...(toLog ? { seen: show } : {}),
      ...(onAbort === 'never' ? {} : { signal }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(input === undefined ? {} : { input }),
    })
    return toLog ? { ...result, tail } : result
  }
}

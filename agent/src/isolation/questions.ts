import type { ExecutorContext, Manifest, RunOptions } from '@fleetupdate/sdk'
import { FleetError } from '@fleetupdate/sdk'
import { agentError, describeError } from '../errors.ts'
import type { IsolatedProcess, IsolatedSource } from './isolated-process.ts'
import type { Said, Told } from './messages.ts'

export interface Asked {
  readonly process: Pick<IsolatedProcess, 'send'>
  readonly source: Pick<IsolatedSource, 'manifest' | 'id'>
  /** Its `run` starts the declared privileges and nothing else. */
  readonly context: Pick<ExecutorContext, 'run' | 'privileges' | 'excludes'>
}

const mostArguments = 256
const argumentLength = 4096
const matchMs = 250

/** Answers a question of an executor's process. Nothing it says is believed: what may start is what manifest, trust and policy of this host say. */
export function answerQuestion(said: Said, { process, source, context }: Asked): void {
  const { id, ask } = said
  if (typeof id !== 'number') return
  const answering = ask === 'run' ? runAsRoot(said, source.manifest, context) : look(said, source, context)
  answering.then(
    (value) => process.send({ say: 'answer', id, value }),
    (error: unknown) => process.send({ say: 'answer', id, error: toldOf(error) }),
  )
}

async function runAsRoot(
  { program, args, options }: Said,
  manifest: Manifest,
  context: Asked['context'],
): Promise<unknown> {
  const isList = Array.isArray(args) && args.length <= mostArguments
  if (typeof program !== 'string' || !isList || !args.every(isArgument))
    throw new Error('the request does not fit')
  if (!(await matchesInTime(manifest, program, args)))
    throw agentError('FLT_RUN_UNDECLARED', {
      plugin: manifest.id,
      program: [program, ...args].join(' ').slice(0, 500),
    })
  return context.run(program, args, optionsOf(options))
}

/** Patterns of a stranger's manifest may take for ever: they get a moment. Whoever starts the program matches again. */
async function matchesInTime(
  { privileges = [] }: Manifest,
  program: string,
  args: readonly string[],
): Promise<boolean> {
  const patterns = privileges
    .filter((one) => one.program === program || one.program.endsWith(`/${program}`))
    .flatMap((one) => one.args)
    .flatMap((rule) => (typeof rule === 'string' ? [] : ['rest' in rule ? rule.rest : rule.pattern]))
  if (patterns.length === 0) return true
  const { runInNewContext } = await import('node:vm')
  try {
    const code =
      'for (const p of JSON.parse(patterns)) for (const a of JSON.parse(args)) new RegExp("^(?:" + p + ")$", "u").test(a)'
    runInNewContext(
      code,
      { patterns: JSON.stringify(patterns), args: JSON.stringify(args) },
      { timeout: matchMs },
    )
    return true
  } catch {
    return false
  }
}

function optionsOf(value: unknown): RunOptions {
  const { output, onAbort, okCodes, timeoutMs } =
    typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  return {
    ...(output === 'capture' || output === 'log' ? { output } : {}),
    ...(onAbort === 'never' || onAbort === 'terminate' ? { onAbort } : {}),
    ...(Array.isArray(okCodes) ? { okCodes: okCodes.filter((code) => typeof code === 'number') } : {}),
    ...(typeof timeoutMs === 'number' && timeoutMs > 0 ? { timeoutMs } : {}),
  }
}

async function look(
  { ask, name }: Said,
  { id }: Asked['source'],
  context: Asked['context'],
): Promise<unknown> {
  if (ask === 'excludes' && isArgument(name)) return context.excludes(name)
  if (ask !== 'privileges') throw new Error('the question is unknown')
  return (await context.privileges()).filter(({ plugin }) => plugin === id)
}

function isArgument(value: unknown): value is string {
  return typeof value === 'string' && value.length <= argumentLength
}

function toldOf(error: unknown): Told {
  if (!(error instanceof FleetError)) return { message: describeError(error) }
  return { message: error.message, code: error.code, details: error.details }
}

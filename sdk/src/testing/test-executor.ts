import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import type { AnyContract, CommandDefinition } from '../contract/contract.ts'
import type {
  CommandContext,
  Executor,
  ExecutorContext,
  FactSource,
  RunResult,
} from '../contract/executor.ts'

/** What one program really printed once, recorded on a real host. */
export interface Transcript {
  readonly program: string
  readonly args: readonly string[]
  readonly stdout?: string
  readonly stderr?: string
  readonly exitCode?: number
}

export interface ExecutorTest {
  readonly transcripts?: readonly Transcript[]
  /** Path → text, as they stood on that host. */
  readonly files?: Readonly<Record<string, string>>
  /** What each command is tried with. */
  readonly commands?: Readonly<Record<string, { readonly input: unknown }>>
}

export interface ExecutorReport {
  readonly facts: Readonly<Record<string, unknown>>
  readonly results: Readonly<Record<string, unknown>>
  /** What the commands wrote. */
  readonly output: string
  /** One sentence per broken rule; empty for a sound executor. */
  readonly problems: readonly string[]
}

/**
 * The conformance suite every executor runs: each fact and each tried command is executed against recorded outputs of real
 * programs, and what comes out must fit the contract and survive JSON.
 */
export async function testExecutor(
  executor: Executor<AnyContract>,
  test: ExecutorTest = {},
): Promise<ExecutorReport> {
  const problems: string[] = []
  const written: string[] = []
  const context = createContext(test, written, problems)
  const facts: Record<string, unknown> = {}
  for (const [name, schema] of Object.entries<TSchema>(executor.contract.facts)) {
    const source = executor.facts[name]
    if (!source) problems.push(`The contract has the fact "${name}"; the executor does not collect it.`)
    else
      facts[name] = await checked(`fact ${name}`, schema, problems, async () => collectorOf(source)(context))
  }
  const results: Record<string, unknown> = {}
  for (const [name, definition] of Object.entries<CommandDefinition>(executor.contract.commands)) {
    const command = executor.commands[name]
    if (!command) problems.push(`The contract has the command "${name}"; the executor does not have it.`)
    const tried = test.commands?.[name]
    if (!command || !tried) continue
    if (definition.input && !Compile(definition.input).Check(tried.input))
      problems.push(`The input that "${name}" is tried with does not fit the contract.`)
    results[name] = await checked(`result of ${name}`, definition.result, problems, async () =>
      command(tried.input, context),
    )
  }
  for (const name of Object.keys(executor.commands))
    if (!Object.hasOwn(executor.contract.commands, name))
      problems.push(`The executor has a command "${name}" that the contract lacks.`)
  return { facts, results, output: written.join(''), problems }
}

function collectorOf(source: FactSource<unknown>): (context: ExecutorContext) => unknown {
  return typeof source === 'function' ? source : source.collect
}

async function checked(
  what: string,
  schema: TSchema | undefined,
  problems: string[],
  produce: () => Promise<unknown>,
): Promise<unknown> {
  try {
    const value = await produce()
    const plain: unknown = value === undefined ? undefined : JSON.parse(JSON.stringify(value))
    if (schema && !Compile(schema).Check(plain)) {
      const lines = Compile(schema)
        .Errors(plain)
        .map((e) => `${e.instancePath || '/'} ${e.message}`)
      problems.push(`The ${what} does not fit the contract: ${lines.join('; ')}.`)
    }
    return plain
  } catch (error) {
    problems.push(`The ${what} threw: ${error instanceof Error ? error.message : error}`)
    return undefined
  }
}

function createContext(test: ExecutorTest, written: string[], problems: string[]): CommandContext {
  const replay = (program: string, args: readonly string[]): RunResult => {
    const found = test.transcripts?.find(
      (t) => t.program === program && t.args.join('\0') === args.join('\0'),
    )
    if (!found) {
      problems.push(`No transcript of: ${[program, ...args].join(' ')}`)
      throw new Error(`no transcript of ${program}`)
    }
    return {
      exitCode: found.exitCode ?? 0,
      signal: null,
      stdout: found.stdout ?? '',
      stderr: found.stderr ?? '',
    }
  }
  const silent = (): void => undefined
  return {
    async run(program, args = [], options = {}) {
      const result = replay(program, args)
      if (!(options.okCodes ?? [0]).includes(result.exitCode))
        throw new Error(`${program} ended with ${result.exitCode}`)
      if (options.output === 'log') written.push(result.stdout, result.stderr)
      return result
    },
    exists: async (path) => test.files?.[path] !== undefined,
    readFile: async (path) => test.files?.[path],
    root: '',
    privileges: async () => [],
    excludes: async () => false,
    signal: new AbortController().signal,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    directory: '/nonexistent',
    commandId: '01890000-0000-7000-8000-000000000000',
    precondition: undefined,
    write: (text) => void written.push(text),
    progress: silent,
    checkpoint: silent,
    fail: (reason) => {
      throw new Error(reason)
    },
  }
}

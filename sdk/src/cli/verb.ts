import { parseArgs } from 'node:util'
import { cliError } from './errors.ts'

/** What a verb may touch of the world around it, so that tests need no process. */
export interface Terminal {
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  print(line: string): void
  /** What is no answer: refusals. Default: printed as well. */
  note?(line: string): void
  /** Asks a person; false where nobody is there to answer. */
  confirm(question: string): Promise<boolean>
  /** Aborts when a verb that runs on is to end, as after Ctrl-C. Default: never. */
  readonly signal?: AbortSignal
}

/** One thing the command line can do; `run` answers the exit code. */
export interface Verb {
  readonly usage: string
  readonly summary: string
  run(args: readonly string[], terminal: Terminal): Promise<number>
}

export interface Arguments {
  readonly positionals: readonly string[]
  /** The value of an option that takes text. */
  text(name: string): string | undefined
  /** Whether a flag was given. */
  has(name: string): boolean
}

/** Reads the arguments of a verb strictly. Throws FLT_CLI_USAGE where one is unknown or lacks its value. */
export function readArguments(
  usage: string,
  args: readonly string[],
  kinds: Readonly<Record<string, 'text' | 'flag'>> = {},
): Arguments {
  const options = Object.fromEntries(
    Object.entries(kinds).map(([name, kind]) => [name, { type: optionTypes[kind] }]),
  )
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options,
      allowPositionals: true,
      strict: true,
    })
    return {
      positionals,
      text(name) {
        const value = values[name]
        return typeof value === 'string' ? value : undefined
      },
      has: (name) => values[name] === true,
    }
  } catch (error) {
    throw cliError('FLT_CLI_USAGE', {
      usage,
      problem: error instanceof Error ? error.message : String(error),
    })
  }
}

const optionTypes = { text: 'string', flag: 'boolean' } as const

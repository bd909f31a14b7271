import type { Log } from '@fleetupdate/sdk'
import type { ServerConfig } from '../config.ts'

/** What a verb may touch of the world around it, so that tests need no process. */
export interface World {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly log: Log
  /** The answer: one line to standard output. */
  print(line: string): void
  /** What is no answer: questions, progress, errors. */
  note(line: string): void
  /** Asks a person; false where nobody is there to answer. */
  confirm(question: string): Promise<boolean>
  /** Runs the server until it is stopped. */
  serve(config: ServerConfig): Promise<void>
}

/** A word that stands alone, like the ID in `agent show ID`. */
export interface Operand {
  readonly name: string
  readonly summary: string
  readonly isOptional?: boolean
}

/** `--name VALUE`, or `--name` alone where there is no `value`. */
export interface Option {
  /** How help calls the value: `N`, `FILE`. */
  readonly value?: string
  /** The only values that fit. */
  readonly choices?: readonly string[]
  readonly summary: string
}

/** One thing the program can do. Help, completion and the reference page are made from this. */
export interface Verb {
  readonly summary: string
  /** Sentences for whoever asks for help on this verb alone. */
  readonly details?: readonly string[]
  readonly operands?: readonly Operand[]
  readonly options?: Readonly<Record<string, Option>>
  /** What follows `fleetupdate NOUN VERB` in an example. */
  readonly examples: readonly string[]
  /** Throws a coded error for what it refuses. */
  run(call: Call): Promise<Outcome>
}

/** A noun with verbs, or one that is a verb itself. */
export type Noun = { readonly summary: string; readonly verbs: Readonly<Record<string, Verb>> } | Verb

/** What a verb was asked. */
export interface Call {
  readonly world: World
  /** '' where an optional operand was left out. */
  operand(name: string): string
  text(option: string): string | undefined
  has(flag: string): boolean
  /** The settings of the server; throws FLT_CONFIG_INVALID. */
  config(): ServerConfig
}

export interface Outcome {
  /** For people. */
  readonly lines: readonly string[]
  /** For programs: what `--json` prints. */
  readonly json: unknown
  /** Default {@link exitCodes.done}. */
  readonly exitCode?: number
}

/** What the program's end means; the reference page quotes this table. */
export const exitCodes = { done: 0, finding: 1, usage: 2, refused: 3 } as const

/** Whether a noun is a verb itself. */
export function isVerb(noun: Noun): noun is Verb {
  return 'run' in noun
}

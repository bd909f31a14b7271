import type { Log } from '@fleetupdate/sdk'
import type { ServerConfig } from '../config.ts'
import type { Elsewhere } from './author-tools.ts'

/** What a verb may touch of the world around it, so that tests need no process. */
export interface World {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** Folder of this program. */
  readonly programDir: string
  /** What counts on an installed server where nothing else is said. */
  readonly installed?: { readonly envFile: string; readonly dataDir: string }
  readonly pid: number
  readonly nodeVersion: string
  /** Who called it, for the audit: where sudo was used, the person who used it. */
  readonly user: string
  /** Of this process, as it is now. */
  readonly uid: number
  readonly log: Log
  /** The answer: one line to standard output. */
  print(line: string): void
  /** What is no answer: questions, progress, errors. */
  note(line: string): void
  /** Asks a person; false where nobody is there to answer. */
  confirm(question: string): Promise<boolean>
  /** Asks for a secret without showing it; where nobody is there, the first line of standard input. */
  askSecret(question: string): Promise<string | undefined>
  /** Goes on as another user of the operating system, for good. Only for root. */
  become(uid: number, gid: number): void
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
export type Noun = NounOfVerbs | Verb

export interface NounOfVerbs {
  readonly summary: string
  readonly verbs: Readonly<Record<string, Verb>>
  readonly elsewhere?: Elsewhere
}

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
  /** For programs: what `--json` prints; undefined where it was printed on the way. */
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

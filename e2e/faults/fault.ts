import type { Random } from './random.ts'

/** How much of a fault is tried: `smoke` within seconds for `npm test`, `full` as promises.md asks. */
export type Size = 'smoke' | 'full'

/** What one fault gets to work with. */
export interface Lab {
  readonly size: Size
  /** Everything random comes from here, so that a seed can be run again. */
  readonly random: Random
  /** Picks a number by the size of the run. */
  scale(numbers: { readonly smoke: number; readonly full: number }): number
  /** Tells how far it is; shown only with --verbose. */
  note(text: string): void
  /** Run in reverse order when the fault is over, whatever happened. */
  onEnd(dispose: () => unknown): void
  /** Runs against a build that is broken on purpose. */
  readonly isSabotaged: boolean
  /** The build under test, a copy of its own. */
  readonly build: Build
  /** A folder that goes with the fault. */
  readonly folder: string
}

/** Entry files of the programs under test. */
export interface Build {
  readonly server: string
  readonly storeWorker: string
  readonly agent: string
  /** The folder of all of it. */
  readonly folder: string
  readonly agentFolder: string
  /** Folder of the built-in executors, for agents in an apt root. */
  readonly executors: string
  readonly aptExecutor: string
  /** Folder of the server's plugins: log-stream alone. */
  readonly plugins: string
  readonly logStream: string
  /** The lab's own capability. */
  readonly labPlugin: string
}

export interface Verdict {
  readonly passed: boolean
  /** The figure reached, in the words of the required one. */
  readonly reached: string
}

/** A deliberate break of the build with which the fault must fail: the proof that its test can. */
export interface Sabotage {
  readonly what: string
  readonly file: 'server' | 'storeWorker' | 'agent' | 'logStream' | 'aptExecutor'
  /** Each must match the built file exactly once; `$1` is what the first bracket matched. */
  /** None: the fault itself knows how, by {@link Lab.isSabotaged}. */
  readonly edits: readonly { readonly find: RegExp; readonly replace: string }[]
}

/** One fault that the product must survive. */
export interface Fault {
  /** Kebab-case, for --only. */
  readonly name: string
  readonly title: string
  /** The figure of the promises. */
  readonly required: string
  /** Why it cannot run on this machine; undefined where it can. */
  readonly problem?: () => string | undefined
  /** Left out of the smoke where a small run shows nothing or takes too long. */
  readonly sizes?: readonly Size[]
  readonly sabotage: Sabotage
  run(lab: Lab): Promise<Verdict>
}

import type {
  AnyContract,
  CommandInput,
  CommandName,
  CommandResult,
  FactName,
  FactValue,
} from './contract.ts'

/** How a program is started. No shell is ever involved. */
export interface RunOptions {
  /** Text for its standard input. */
  readonly input?: string
  /** Added to the fixed environment. Ignored for privileged programs, whose environment the manifest fixes. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /**
   * Where its output goes. `capture` (default in facts): returned, up to 16 MiB. `log` (default in commands): straight into the
   * attempt's output file, never through a pipe.
   */
  readonly output?: 'capture' | 'log'
  /** `never`: neither a cancel nor the time-out ends it; the executor waits. Default `terminate`: SIGTERM, after 10 s SIGKILL. */
  readonly onAbort?: 'terminate' | 'never'
  /** Exit codes that are no error. Default `[0]`. Others reject with FLT_RUN_FAILED. */
  readonly okCodes?: readonly number[]
  readonly timeoutMs?: number
  /** Absolute path of a file (made by the caller in `ctx.directory`) that the program gets as descriptor 3. */
  readonly statusFile?: string
}

export interface RunResult {
  readonly exitCode: number
  readonly signal: string | null
  /** Empty with `output: 'log'`. */
  readonly stdout: string
  readonly stderr: string
  /** With `output: 'log'`: the end (at most 16 KiB) of what this program wrote to the log, so that a failure can be named. */
  readonly tail?: string
}

/**
 * Starts a program: `run('apt-cache', ['policy', '--', name])`. Only programs that the manifest declares may run. Where
 * program and arguments match a declared privilege, it starts as root through the host's privileged way. In a command, the line
 * `$ program arguments` is written to the output first.
 */
export type Run = (program: string, args?: readonly string[], options?: RunOptions) => Promise<RunResult>

export interface Log {
  debug(message: string, data?: Readonly<Record<string, unknown>>): void
  info(message: string, data?: Readonly<Record<string, unknown>>): void
  warn(message: string, data?: Readonly<Record<string, unknown>>): void
  error(message: string, data?: Readonly<Record<string, unknown>>): void
}

/** Whether one declared privilege works on this host without a password. */
export interface PrivilegeState {
  readonly id: string
  readonly plugin: string
  readonly ok: boolean
  /** The exact line or step that is missing. */
  readonly missing?: string
}

/** What facts and commands share. */
export interface ExecutorContext {
  readonly run: Run
  /** Paths are read as `root` + path, so that tests can point at another root. */
  exists(path: string): Promise<boolean>
  /** Text of a file, `undefined` where it does not exist; at most 4 MiB. */
  readFile(path: string): Promise<string | undefined>
  /** Prefix of every path this executor may look at; '' on a real host. */
  readonly root: string
  /** Every privilege the installed executors declare, probed now. */
  privileges(): Promise<readonly PrivilegeState[]>
  /**
   * Whether the owner of this machine excludes a package from every change (`packages.exclude` in its policy). The host enforces it; an
   * executor that asks first can leave the package out and say so.
   */
  excludes(packageName: string): Promise<boolean>
  readonly signal: AbortSignal
  readonly log: Log
}

export type FactContext = ExecutorContext

export interface CommandContext extends ExecutorContext {
  /** A folder of this attempt only, for status files and the like; removed with the attempt. */
  readonly directory: string
  readonly commandId: string
  /** What the submitter required to still hold, for example a plan hash. */
  readonly precondition: string | undefined
  /** Appends text to the output. */
  write(text: string): void
  /** 0 to 100, and what is being done. */
  progress(update: { percent?: number; message?: string }): void
  /** Throws where the command was cancelled or timed out: call it wherever it is safe to stop. */
  checkpoint(): void
  /** Ends the command as `rejected(precondition)`-like failure with a reason for people. */
  fail(reason: string, details?: { exitCode?: number }): never
}

export type FactCollector<T> = (context: FactContext) => T | Promise<T>

/** Collected on every round, or at most every so many seconds. */
export type FactSource<T> =
  | FactCollector<T>
  | { readonly everySeconds: number; readonly collect: FactCollector<T> }

type FactsPart<C extends AnyContract> = [FactName<C>] extends [never]
  ? { readonly facts?: Record<never, never> }
  : { readonly facts: { readonly [K in FactName<C>]: FactSource<FactValue<C, K>> } }

type CommandsPart<C extends AnyContract> = [CommandName<C>] extends [never]
  ? { readonly commands?: Record<never, never> }
  : {
      readonly commands: {
        readonly [K in CommandName<C>]: (
          input: CommandInput<C, K>,
          context: CommandContext,
        ) => CommandResult<C, K> | Promise<CommandResult<C, K>>
      }
    }

export type ExecutorParts<C extends AnyContract> = FactsPart<C> & CommandsPart<C>

/** One capability's part on the agent; made by {@link defineExecutor}. */
export interface Executor<C extends AnyContract = AnyContract> {
  readonly contract: C
  readonly facts: Readonly<Record<string, FactSource<unknown>>>
  readonly commands: Readonly<Record<string, (input: any, context: CommandContext) => unknown>>
}

/**
 * Describes the agent's part of a capability: how each fact is observed, and what each command does.
 *
 * @example
 * export default defineExecutor(reboot, {
 *   facts: { required: ({ exists }) => exists('/run/reboot-required') },
 *   commands: { async schedule({ minutes }, { run }) { await run('shutdown', ['--reboot', `+${minutes}`]) } },
 * })
 */
export function defineExecutor<const C extends AnyContract>(
  contract: C,
  parts: ExecutorParts<C>,
): Executor<C> {
  return { contract, facts: parts.facts ?? {}, commands: parts.commands ?? {} } as Executor<C>
}

import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { access, mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ArgumentRule, CommandContext, Manifest, RunOptions, RunResult } from '@fleetupdate/sdk'
import type { AptRoot } from './create-apt-root.ts'

/** A context for one command in an apt root, and what the command left in it. */
export interface RootContext extends CommandContext {
  /** Everything that was written to the output so far. */
  output(): string
  readonly updates: readonly { percent?: number; message?: string }[]
  /** Every program that was started, with its arguments. */
  readonly started: readonly (readonly string[])[]
}

export interface RootContextOptions {
  /** Where output goes by default: `capture` as in facts, or `log` (the default here) as in commands. */
  readonly output?: 'capture' | 'log'
  readonly precondition?: string
  /** Called at each `checkpoint()`; may throw. */
  readonly onCheckpoint?: () => void
}

/**
 * Runs an executor's functions inside an apt root by real processes, without an agent. As the agent does, it starts only what the
 * manifest declares, and sends output to a file.
 */
export async function createRootContext(
  root: AptRoot,
  manifest: Manifest,
  options: RootContextOptions = {},
): Promise<RootContext> {
  const directory = await mkdtemp(join(tmpdir(), 'fleet-attempt-'))
  const log = join(directory, 'output.log')
  const logFd = openSync(log, 'a')
  closeSync(logFd)
  const updates: { percent?: number; message?: string }[] = []
  const started: string[][] = []
  const written: string[] = []
  const context: RootContext = {
    root: root.directory,
    directory,
    commandId: '01890000-0000-7000-8000-000000000000',
    precondition: options.precondition,
    signal: new AbortController().signal,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    updates,
    started,
    output: () => written.join('') + readFileSync(log, 'utf8'),
    exists: (path) =>
      access(join(root.directory, path)).then(
        () => true,
        () => false,
      ),
    readFile: (path) => readFile(join(root.directory, path), 'utf8').catch(() => undefined),
    privileges: async () => [],
    excludes: async () => false,
    write: (text) => void written.push(text),
    progress: (update) => void updates.push(update),
    checkpoint: () => options.onCheckpoint?.(),
    fail: (reason, details) => {
      throw Object.assign(new Error(reason), details)
    },
    async run(program, args = [], runOptions = {}) {
      if (!isDeclared(manifest, program, args)) throw new Error(`not declared: ${program} ${args.join(' ')}`)
      started.push([program, ...args])
      const result = await start(
        root.directory,
        [program, ...args],
        { output: options.output ?? 'log', ...runOptions },
        log,
      )
      if ((runOptions.okCodes ?? [0]).includes(result.exitCode)) return result
      throw new Error(`${program} ended with ${result.exitCode}: ${result.stderr}${result.tail ?? ''}`)
    },
  }
  return context
}

function silent(): void {}

async function start(
  directory: string,
  argv: readonly string[],
  options: RunOptions,
  log: string,
): Promise<RunResult> {
  const toLog = options.output === 'log'
  const before = readFileSync(log).length
  const out = toLog ? openSync(log, 'a') : ('pipe' as const)
  const status = options.statusFile === undefined ? undefined : openSync(options.statusFile, 'a')
  const child = spawn('chroot', [directory, ...argv], {
    stdio: ['ignore', out, out, ...(status === undefined ? [] : [status])],
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      LANG: 'C.UTF-8',
      HOME: '/root',
      ...options.env,
    },
  })
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk))
  try {
    return await new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code, signal) =>
        resolve({
          exitCode: code ?? 128,
          signal,
          stdout: Buffer.concat(stdout).toString(),
          stderr: Buffer.concat(stderr).toString(),
          ...(toLog ? { tail: readFileSync(log).subarray(before).subarray(-16_384).toString() } : {}),
        }),
      )
    })
  } finally {
    if (typeof out === 'number') closeSync(out)
    if (status !== undefined) closeSync(status)
  }
}

/** As the agent decides it: a bare name by `programs`, an absolute path by a privilege whose arguments match. */
function isDeclared(manifest: Manifest, program: string, args: readonly string[]): boolean {
  if (!program.startsWith('/')) return manifest.programs?.includes(program) ?? false
  return (manifest.privileges ?? []).some(
    (privilege) => privilege.program === program && argumentsMatch(privilege.args, args),
  )
}

function argumentsMatch(rules: readonly ArgumentRule[], args: readonly string[]): boolean {
  const [rule, ...others] = rules
  const [first, ...rest] = args
  if (rule === undefined) return args.length === 0
  if (typeof rule === 'object' && 'rest' in rule) return args.every((arg) => new RegExp(rule.rest).test(arg))
  if (first === undefined) return false
  const matches = typeof rule === 'string' ? rule === first : new RegExp(rule.pattern).test(first)
  return matches && argumentsMatch(others, rest)
}

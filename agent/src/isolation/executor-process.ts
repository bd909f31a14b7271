#!/usr/bin/env node
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { type CommandContext, type Executor, FleetError } from '@fleetupdate/sdk'
import { createCheck } from '../check.ts'
import { describeError, errorCode } from '../errors.ts'
import { exists, readFile } from '../executor-context.ts'
import { assertExecutor } from '../executor-loader.ts'
import { readLines } from './line-reader.ts'
import { createLocalRun } from './local-run.ts'
import type { Answer, LoadOrder, Order, Question, StopWish, Task, Told } from './messages.ts'

/**
 * The process of one third-party executor: loads what stdin brings, does what it is told line by line, and ends with its stdin. Nothing here is a
 * protection: whoever started it has put it where it can do no harm, and believes none of its lines.
 */

const write = process.stdout.write.bind(process.stdout)
const say = (line: object): void => void write(`${JSON.stringify(line)}\n`)
const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
const stopping = new AbortController()
let asked = 0
let stopAt: Error | undefined
let load: LoadOrder | undefined
let executor: Executor | undefined

// What an executor prints belongs into the log; stdout is for lines of the protocol alone.
for (const level of ['debug', 'info', 'warn', 'error', 'log', 'trace'] as const)
  console[level] = (...parts: unknown[]) => say({ say: 'log', level, message: parts.map(String).join(' ') })
process.stdout.write = process.stderr.write.bind(process.stderr) as typeof process.stdout.write
process.on('uncaughtException', (error) => fail(error))
process.on('unhandledRejection', (error) => fail(error))

let turn: Promise<void> = Promise.resolve()
const take = (line: string): void => {
  const order = JSON.parse(line) as Order
  if (order.say === 'answer') settle(order)
  else if ('reason' in order) stop(order)
  else turn = turn.then(() => obey(order)).catch(fail)
}
// Not readline, for which a carriage return ends a line too: the root helper, which looks at the orders on their way, must see the same lines.
readLines(process.stdin, { line: Number.POSITIVE_INFINITY }, { take, broken: fail })
process.stdin.on('close', () => process.exit())

async function obey(order: Task): Promise<void> {
  if (order.say === 'load') {
    load = order
    const url = `data:text/javascript;base64,${Buffer.from(order.module).toString('base64')}`
    executor = assertExecutor(await import(url), { id: order.manifest.id, folder: 'the bundle' })
    return
  }
  if (!load || !executor) throw new Error('nothing was loaded')
  if (order.say === 'describe') return describe(executor)
  if (order.say === 'fact') return observe(executor, load, order.name)
  await perform(executor, load, order)
}

function describe({ contract, facts }: Executor): void {
  const everySeconds = Object.entries(facts).map(([name, source]) => [
    name,
    typeof source === 'function' ? 0 : source.everySeconds,
  ])
  say({ say: 'described', contract, everySeconds: Object.fromEntries(everySeconds) })
}

async function observe({ contract, facts }: Executor, loaded: LoadOrder, name: string): Promise<void> {
  try {
    const source = facts[name]
    if (!source) throw new Error('there is no such fact')
    const collect = typeof source === 'function' ? source : source.collect
    const value: unknown = await collect(contextOf(loaded, 'capture'))
    if (value === undefined) throw new Error('the executor gave no value')
    const problem = createCheck(contract.facts[name] ?? {}).problem(JSON.parse(JSON.stringify(value)))
    if (problem !== undefined) throw new Error(`The fact does not fit its contract: ${problem}.`)
    say({ say: 'fact', name, value })
  } catch (error) {
    say({ say: 'fact', name, error: toldOf(error) })
  }
}

async function perform(
  { contract, commands }: Executor,
  loaded: LoadOrder,
  order: Extract<Task, { say: 'command' }>,
): Promise<void> {
  try {
    const command = commands[order.command]
    if (!command) throw new Error(`it has no command "${order.command}"`)
    const definition: { readonly input?: object } = contract.commands[order.command] ?? {}
    const problem = definition.input && createCheck(definition.input).problem(order.input)
    if (problem !== undefined) throw new Error(`The input does not fit: ${problem}`)
    const directory = mkdtempSync(join(tmpdir(), 'attempt-'))
    process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
    const context: CommandContext = {
      ...contextOf(loaded, 'log'),
      directory,
      commandId: order.commandId,
      precondition: order.precondition,
      write: (text) => say({ say: 'write', text: String(text) }),
      progress: ({ percent, message }) => say({ say: 'progress', percent, message }),
      checkpoint() {
        if (stopAt) throw stopAt
      },
      fail(reason, details) {
        throw new FleetError('FLT_COMMAND_FAILED', 500, reason, details)
      },
    }
    say({ say: 'result', value: await command(order.input, context) })
  } catch (error) {
    say({ say: 'result', error: toldOf(error) })
  }
}

function contextOf({ manifest }: LoadOrder, output: 'capture' | 'log') {
  const log =
    (level: string) =>
    (message: string, data?: unknown): void =>
      say({ say: 'log', level, message, data })
  return {
    run: createLocalRun({
      manifest,
      output,
      signal: stopping.signal,
      write: (text) => say({ say: 'write', text }),
      asRoot: (program, args, options) => ask({ ask: 'run', program, args, options }),
    }),
    root: '',
    signal: stopping.signal,
    log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
    exists,
    readFile,
    privileges: () => ask<[]>({ ask: 'privileges' }),
    excludes: (name: string) => ask<boolean>({ ask: 'excludes', name }),
  }
}

function ask<T>(question: Question): Promise<T> {
  const id = ++asked
  say({ say: 'ask', id, ...question })
  return new Promise((resolve, reject) =>
    waiting.set(id, { resolve: resolve as (value: unknown) => void, reject }),
  )
}

function settle({ id, value, error }: Answer): void {
  const asker = waiting.get(id)
  waiting.delete(id)
  if (error) asker?.reject(new FleetError(error.code ?? 'FLT_RUN_FAILED', 500, error.message, error.details))
  else asker?.resolve(value)
}

function stop({ say: kind, reason }: StopWish): void {
  stopAt ??= new FleetError('FLT_ATTEMPT_STOPPED', 500, reason)
  if (kind === 'stop') stopping.abort(stopAt)
}

function fail(error: unknown): void {
  say({ say: 'failed', error: toldOf(error) })
  process.exit(1)
}

function toldOf(error: unknown): Told {
  const code = errorCode(error)
  const details = error instanceof Error && 'details' in error ? error.details : undefined
  return { message: describeError(error), ...(code === '' ? {} : { code }), ...(details ? { details } : {}) }
}

#!/usr/bin/env node
import { spawn } from 'node:child_process'
import { accessSync, closeSync, constants, lstatSync, openSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join, sep } from 'node:path'
import { argv, execPath, exit, getuid, kill, stdin, stdout } from 'node:process'
import { createInterface } from 'node:readline'
import type { Privilege } from '@fleetupdate/sdk'
import { matchesArguments } from './match.ts'
import { PolicyProblem, readPolicy } from './policy-file.ts'

/**
 * The one program the unprivileged agent may start as root, without arguments. It reads one JSON line from stdin and does one of three things:
 * `run` a program that a root-owned manifest declares, `start` a runner in its own unit, `probe` whether a privilege would work. All it
 * trusts lies beside itself and belongs to root. Later lines of stdin, `term` and `kill`, signal the program; the end of stdin does nothing, so
 * that a dying agent never takes an upgrade with it.
 */

const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8', HOME: '/root' }
const installation = dirname(realpathSync(argv[1] ?? ''))
const requestBytes = 4 * 1024 * 1024
const attempts = '/var/lib/orchestrator-agent/attempts'
/** The owner's policy counts here too: whoever took the agent over does not get past it. */
const policyFolder = '/etc/orchestrator-agent'
const idPattern = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/
const commandIdPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
/** Exit code of a refused request, as of a program that cannot be executed. */
const refusedCode = 126

type Request = Readonly<Record<string, unknown>>

class Refusal extends Error {}

if (getuid?.() !== 0) refuse('the root helper must be started as root, through sudo')
const lines = createInterface({ input: stdin, crlfDelay: Number.POSITIVE_INFINITY })
/** What came while the request was still looked at. */
const orders: string[] = []
let obey = (order: string): void => void orders.push(order)
lines.once('line', (line) => {
  lines.on('line', (order) => obey(order))
  handle(line).catch((error: unknown) => {
    const isKnown = error instanceof Refusal || error instanceof PolicyProblem
    refuse(isKnown ? error.message : 'the request cannot be carried out')
  })
})

async function handle(line: string): Promise<void> {
  const request = readRequest(line)
  if (request.verb === 'run' || request.verb === 'start') await assertPolicy(request)
  if (request.verb === 'probe') probe(request)
  else if (request.verb === 'run') run(request)
  else if (request.verb === 'start') start(request)
  else throw new Refusal('the verb is unknown')
}

/** Windows are left to the agent: an upgrade that runs past the end of one must not lose its right in the middle. */
async function assertPolicy({ verb, plugin }: Request): Promise<void> {
  const { mode, commands, stopped } = await readPolicy(policyFolder, [0])
  if (stopped) throw new Refusal('policy rule "kill-switch": this machine starts nothing')
  if (verb !== 'run') return
  if (mode === 'observe') throw new Refusal('policy rule "mode": this machine is only observed')
  const allowed = typeof plugin === 'string' ? commands?.get(plugin) : undefined
  if (commands && (allowed === undefined || allowed.length === 0))
    throw new Refusal('policy rule "commands": this plugin may nothing on this machine')
}

function run(request: Request): void {
  const privilege = findPrivilege(request.plugin, request.privilege)
  const { args } = request
  if (!isTextList(args) || !matchesArguments(privilege.args, args))
    throw new Refusal(`the arguments do not fit the privilege "${privilege.id}"`)
  assertProgram(privilege.program)
  execute(privilege.program, args, { ...environment, ...privilege.env })
}

function start(request: Request): void {
  const { commandId, epoch } = request
  if (typeof commandId !== 'string' || !commandIdPattern.test(commandId))
    throw new Refusal('the command id is malformed')
  if (typeof epoch !== 'number' || !Number.isInteger(epoch) || epoch < 1 || epoch > 1_000_000)
    throw new Refusal('the epoch is malformed')
  const unit = [
    `--unit=fleetupdate-${commandId}-${epoch}`,
    '--collect',
    '--quiet',
    '--property=KillMode=process',
    '--property=OOMPolicy=continue',
  ]
  const user = ['--uid=orchestrator', '--gid=orchestrator']
  const runner = [execPath, join(installation, 'main.js'), 'attempt', join(attempts, `${commandId}.${epoch}`)]
  execute('/usr/bin/systemd-run', [...unit, ...user, '--', ...runner], environment)
}

/** Answers one line of JSON for each privilege asked for. */
function probe(request: Request): void {
  const { privileges } = request
  if (!Array.isArray(privileges) || privileges.length > 1024)
    throw new Refusal('the list of privileges is malformed')
  const answers = privileges.map((asked: unknown) => {
    try {
      if (!isRecord(asked)) throw new Refusal('the privilege is malformed')
      assertProgram(findPrivilege(asked.plugin, asked.privilege).program)
      return { ok: true }
    } catch (error) {
      return { ok: false, missing: error instanceof Refusal ? error.message : 'it cannot be checked' }
    }
  })
  stdout.write(`${JSON.stringify(answers)}\n`, () => exit(0))
}

function execute(program: string, args: readonly string[], env: Readonly<Record<string, string>>): void {
  // Descriptor 3 stays open for programs that are told to report there; sudo has closed the agent's.
  const nothing = openSync('/dev/null', 'r+')
  const child = spawn(program, args, { cwd: '/', env, stdio: [nothing, 1, 2, nothing], detached: true })
  closeSync(nothing)
  child.on('error', () => refuse(`${program} cannot be started`))
  child.on('exit', (code, signal) => exit(code ?? (signal === 'SIGKILL' ? 137 : 143)))
  obey = (order) => {
    const signal = order === 'term' ? 'SIGTERM' : order === 'kill' ? 'SIGKILL' : undefined
    if (signal && child.pid !== undefined && child.exitCode === null) kill(-child.pid, signal)
  }
  for (const order of orders) obey(order)
}

function findPrivilege(plugin: unknown, id: unknown): Privilege {
  if (typeof plugin !== 'string' || plugin.length > 64 || !idPattern.test(plugin))
    throw new Refusal('the plugin id is malformed')
  const file = join(installation, 'executors', plugin, 'package.json')
  assertRootOwned(file)
  const manifest: unknown = JSON.parse(readFileSync(file, 'utf8'))
  const declared = isRecord(manifest) && isRecord(manifest.fleetupdate) ? manifest.fleetupdate : {}
  const privileges: unknown = declared.id === plugin ? declared.privileges : []
  const found = Array.isArray(privileges)
    ? privileges.find((one) => isRecord(one) && one.id === id)
    : undefined
  if (!isPrivilege(found)) throw new Refusal(`the executor "${plugin}" declares no such privilege`)
  return found
}

/** A file is trusted when it and every folder above it belong to root and nobody else may write them, and no link leads elsewhere. */
function assertRootOwned(file: string): void {
  let path = file
  try {
    if (realpathSync(file) !== file) throw new Refusal(`${file} must not lead through links`)
    for (;;) {
      const { uid, mode } = lstatSync(path)
      const sticky = (mode & 0o1000) !== 0 && path !== file
      if (uid !== 0 || ((mode & 0o022) !== 0 && !sticky))
        throw new Refusal(`${path} must belong to root alone`)
      if (path === sep) return
      path = dirname(path)
    }
  } catch (error) {
    if (error instanceof Refusal) throw error
    throw new Refusal(`${file} does not exist`)
  }
}

function assertProgram(program: string): void {
  try {
    accessSync(program, constants.X_OK)
  } catch {
    throw new Refusal(`the program ${program} is not installed`)
  }
  assertRootOwned(realpathSync(program))
}

function readRequest(line: string): Request {
  if (line.length > requestBytes) throw new Refusal('the request is too long')
  const value: unknown = JSON.parse(line)
  if (!isRecord(value)) throw new Refusal('the request is not an object')
  return value
}

function refuse(reason: string): never {
  stdout.write(`fleetupdate root helper: ${reason}\n`)
  return exit(refusedCode)
}

function isPrivilege(value: unknown): value is Privilege {
  if (!isRecord(value)) return false
  const { id, program, args, env } = value
  const envFits = env === undefined || (isRecord(env) && isTextList(Object.values(env)))
  return (
    typeof id === 'string' &&
    typeof program === 'string' &&
    program.startsWith('/') &&
    Array.isArray(args) &&
    envFits
  )
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.length <= 2100 && value.every((one) => typeof one === 'string')
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

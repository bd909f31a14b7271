#!/usr/bin/env node
import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, sep } from 'node:path'
import process, { argv, env, execPath, exit, getuid, stderr, stdin, stdout } from 'node:process'
import type { Manifest, Privilege } from '@fleetupdate/sdk'
import { readRootNames } from '../isolation/root-names.ts'
import { sandboxCommand } from '../isolation/sandbox.ts'
import { matchesArguments } from './match.ts'
import { openForAppending } from './output-file.ts'
import { packageRule } from './package-rule.ts'
import { type HostPolicy, PolicyProblem, readPolicy } from './policy-file.ts'
import { brokenRule, isOpen } from './policy-rules.ts'
import { endRest, signalGroup } from './process-group.ts'

/**
 * The one program through which the unprivileged agent becomes root: systemd starts it for each connection to its socket, or sudo does. It reads
 * one JSON line and does one of these things: `run` a program that a root-owned manifest declares, `start` a runner in its own unit, `isolate` the executor
 * of a stranger, ask the bundle `keeper`, `probe` whether a privilege would work. It answers JSON lines. Later lines of input, `term` and `kill`, signal the program; neither their end nor a
 * SIGTERM does anything, so that nobody's death takes an upgrade along.
 */

const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8', HOME: '/root' }
const installation = dirname(realpathSync(argv[1] ?? ''))
const state = '/var/lib/orchestrator-agent'
/** The owner's policy counts here too: whoever took the agent over does not get past it. */
const policyFolder = '/etc/orchestrator-agent'
/** What began inside a window; only root writes here. */
const begunFolder = '/run/orchestrator-helper/begun'
const begunForMs = 12 * 3_600_000
const requestLength = 4 * 1024 * 1024
const patienceMs = 10_000
const idPattern = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/
const commandIdPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

type Request = Readonly<Record<string, unknown>>

class Refusal extends Error {}

/** systemd's name of the connection ends in the asker's uid (sudo allows no argument); sudo says it in the environment. */
const peer = Number(/-(\d+)$/.exec(argv[2] ?? `sudo-${env.SUDO_UID}`)?.[1] ?? Number.NaN)
const keptManifests = new Map<unknown, string>()
let asked = false
/** What came while the request was still looked at. */
const orders: string[] = []
let obey = (order: string): void => void orders.push(order)
let received = ''

stdout.on('error', () => undefined)
stdin.on('error', () => undefined)
stdin.on('end', () => asked || refuse('no request came'))
setTimeout(() => asked || refuse('no request came'), patienceMs)
stdin.setEncoding('utf8').on('data', (text: string) => {
  received += text
  const lines = received.split('\n')
  received = (lines.pop() ?? '').slice(0, requestLength)
  if (received.length === requestLength && !asked) refuse('the request is too long')
  for (const line of lines) {
    if (asked) obey(line)
    else handle(line).catch(failed)
    asked = true
  }
})

async function handle(line: string): Promise<void> {
  if (getuid?.() !== 0) throw new Refusal('the root helper must be started as root')
  if (lstatSync(state).uid !== peer) throw new Refusal(`only the user who owns ${state} may ask`)
  const request: unknown = line.length < requestLength ? JSON.parse(line) : undefined
  if (!isRecord(request)) throw new Refusal('the request is not an object, or too long')
  // Without it there is no policy; with it, nobody else may have taken the policy away.
  if (existsSync(policyFolder)) assertRootOwned(policyFolder)
  if (request.verb === 'probe') probe(request)
  else if (request.verb === 'run') await run(request, await readPolicy(policyFolder, [0]))
  else if (request.verb === 'start') start(request, await readPolicy(policyFolder, [0]))
  else if (request.verb === 'isolate') isolate(request)
  else if (request.verb === 'keeper') keeper(request)
  else throw new Refusal('the verb is unknown')
}

async function run(request: Request, policy: HostPolicy): Promise<void> {
  const { plugin, args, out, err, status } = request
  const privilege = findPrivilege(request)
  if (!isTextList(args) || !matchesArguments(privilege.args, args))
    throw new Refusal(`the arguments do not fit the privilege "${privilege.id}"`)
  const question = {
    plugin: String(plugin),
    commands: privilege.commands,
    // Where a machine is only observed, nothing becomes root, whatever it is for.
    effect: policy.mode === 'observe' ? 'change' : (privilege.effect ?? 'change'),
    begun: hasBegun(`${out}`.slice(state.length).split('/')[2] ?? '', policy),
  } as const
  const rule = brokenRule(policy, question, new Date())
  if (rule !== undefined) throw new PolicyProblem(rule)
  assertProgram(privilege.program)
  const variables = { ...environment, ...privilege.env }
  const packages = packageRule(policy, privilege.program, args, variables)
  if (packages !== undefined) throw new PolicyProblem(packages)
  const files = [out, err, ...(status === undefined ? [] : [status])].map((path) => {
    const file = openForAppending(state, path, peer)
    if (file === undefined) throw new Refusal('an output file is not a file of the asker in its state folder')
    return file
  })
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => undefined)
  const child = spawn(privilege.program, args, {
    ...{ cwd: '/', env: variables, detached: true },
    stdio: ['ignore', files[0], files[1], files[2] ?? 'ignore'],
  })
  child.on('error', () => refuse(`${privilege.program} cannot be started`))
  if (child.pid === undefined) return
  const group = -child.pid
  child.on('exit', async (exitCode, signal) => {
    if (isToEnd) await endRest(group)
    answer({ exitCode: exitCode ?? -1, signal })
  })
  let isToEnd = false
  stdout.write(`${JSON.stringify({ pid: child.pid })}\n`)
  stderr.write(`<5>uid ${peer} runs ${plugin}: ${privilege.id} (${child.pid})\n`)
  obey = (order) => {
    const signal = order === 'term' ? 'SIGTERM' : order === 'kill' ? 'SIGKILL' : undefined
    if (!signal) return
    isToEnd = true
    signalGroup(group, signal)
  }
  for (const order of orders) obey(order)
}

function start({ commandId, epoch }: Request, policy: HostPolicy): void {
  if (policy.stopped) throw new PolicyProblem('rule "kill-switch": this machine starts nothing.')
  if (typeof commandId !== 'string' || !commandIdPattern.test(commandId))
    throw new Refusal('the command id is malformed')
  if (typeof epoch !== 'number' || !Number.isInteger(epoch) || epoch < 1 || epoch > 1_000_000)
    throw new Refusal('the epoch is malformed')
  hasBegun(`${commandId}.${epoch}`, policy)
  const properties = ['KillMode=process', 'OOMPolicy=continue', 'TimeoutStopSec=15min']
  const unit = [`--unit=fleetupdate-${commandId}-${epoch}`, '--collect', '--quiet']
  const user = ['--uid=orchestrator', '--gid=orchestrator', ...properties.map((one) => `--property=${one}`)]
  const folder = join(state, 'attempts', `${commandId}.${epoch}`)
  const runner = [execPath, join(installation, 'main.js'), 'attempt', folder]
  const options = { env: environment, cwd: '/', encoding: 'utf8' } as const
  const started = spawnSync('/usr/bin/systemd-run', [...unit, ...user, '--', ...runner], options)
  answer({ exitCode: started.status ?? -1, said: `${started.error ?? started.stderr}`.trim().slice(0, 1000) })
}

/** Answers for each privilege asked for whether it would work. */
function probe({ privileges }: Request): void {
  if (!Array.isArray(privileges) || privileges.length > 1024)
    throw new Refusal('the list of privileges is malformed')
  const answers = privileges.map((one: unknown) => {
    try {
      if (!isRecord(one)) throw new Refusal('the privilege is malformed')
      assertProgram(findPrivilege(one).program)
      return { ok: true }
    } catch (error) {
      return { ok: false, missing: error instanceof Refusal ? error.message : 'it cannot be checked' }
    }
  })
  answer({ privileges: answers })
}

/** Whether an attempt began inside a window: an upgrade that runs past its end must not lose its right in the middle. */
function hasBegun(attempt: string, { windows }: HostPolicy): boolean {
  if (windows.length === 0 || !/^[0-9a-f-]{36}\.\d{1,7}$/.test(attempt)) return false
  const mark = join(begunFolder, attempt)
  mkdirSync(begunFolder, { recursive: true, mode: 0o755 })
  if (isOpen(windows, new Date())) writeFileSync(mark, '', { flag: 'a' })
  const { mtimeMs = 0 } = lstatSync(mark, { throwIfNoEntry: false }) ?? {}
  return Date.now() - mtimeMs < begunForMs
}

/** From the manifest beside this program; only for plugins that have none there, from the bundle that was kept and is checked now. */
function findPrivilege({ plugin, privilege, bundle }: Request): Privilege {
  assertPluginId(plugin)
  const file = join(installation, 'executors', plugin, 'package.json')
  const isBuiltIn = lstatSync(file, { throwIfNoEntry: false }) !== undefined
  if (isBuiltIn || bundle === undefined) assertRootOwned(file)
  const manifest: unknown = isBuiltIn
    ? JSON.parse(readFileSync(file, 'utf8')).fleetupdate
    : keptManifest(plugin, bundle)
  const declared = isRecord(manifest) ? manifest : {}
  const privileges = declared.id === plugin && Array.isArray(declared.privileges) ? declared.privileges : []
  const found: unknown = privileges.find((one) => isRecord(one) && one.id === privilege)
  if (!isPrivilege(found)) throw new Refusal(`the executor "${plugin}" declares no such privilege`)
  return found
}

function keptManifest(plugin: string, bundle: unknown): Manifest {
  const said = keptManifests.get(bundle) ?? askKeeper({ verb: 'manifest', bundle })
  // A probe asks for many privileges of one bundle.
  keptManifests.set(bundle, said)
  const { manifest, refused } = JSON.parse(said) as Request
  if (typeof refused === 'string') throw new Refusal(refused)
  if (!isRecord(manifest) || manifest.id !== plugin) throw new Refusal('the bundle is of another plugin')
  // The keeper has checked it against its schema.
  return manifest as unknown as Manifest
}

/** Starts the process of an executor that did not come with the agent where it can do no harm; its lines and the asker's pass through. */
function isolate({ plugin, bundle, seconds }: Request): void {
  assertPluginId(plugin)
  if (typeof seconds !== 'number' || !Number.isInteger(seconds) || seconds < 1 || seconds > 1_000_000)
    throw new Refusal('the time is malformed')
  const manifest = bundle === undefined ? undefined : keptManifest(plugin, bundle)
  const { network = false, paths = [] } = manifest ?? {}
  const unit = `fleetupdate-executor-${plugin}-${randomBytes(6).toString('hex')}`
  const program = join(installation, 'executor-process.js')
  const wishes = { unit, node: execPath, program, network, paths, seconds, rootNames: readRootNames() }
  const command = sandboxCommand(wishes)
  const options = { cwd: '/', env: environment } as const
  const child = spawn('/usr/bin/systemd-run', command, { ...options, stdio: ['pipe', 'inherit', 'inherit'] })
  child.on('error', () => refuse('systemd-run cannot be started'))
  child.on('exit', (code) => exit(code ?? 1))
  child.stdin.on('error', () => undefined)
  const kill = (): void => void spawnSync('/usr/bin/systemctl', ['kill', '--signal=KILL', unit], options)
  let turn: Promise<void> = Promise.resolve()
  const inTurn = (work: () => void | Promise<void>): void => {
    turn = turn.then(work).catch((error) => {
      kill()
      failed(error)
    })
  }
  stdin.once('end', () => {
    inTurn(() => void child.stdin.end())
    setTimeout(kill, 2000)
  })
  obey = (line) =>
    inTurn(async () => {
      await assertOrder(plugin, line)
      child.stdin.write(`${line}\n`)
    })
  for (const line of orders) obey(line)
}

/** What a machine is asked about may be asked always; its commands only start while the owner's policy lets them, as it is at that moment. */
async function assertOrder(plugin: string, line: string): Promise<void> {
  const order = parseOrder(line)
  if (order.say !== 'command') return
  const commands = [String(order.command)]
  // What it changes as root is asked for apart, with the effect of that privilege.
  const question = { plugin, commands, effect: 'observe' } as const
  const rule = brokenRule(await readPolicy(policyFolder, [0]), question, new Date())
  if (rule !== undefined) throw new PolicyProblem(rule)
}

function parseOrder(line: string): Request {
  try {
    const order: unknown = JSON.parse(line)
    if (isRecord(order)) return order
  } catch {}
  throw new Refusal('an order to the executor is not an object, or too long')
}

function keeper({ request }: Request): never {
  stdout.write(askKeeper(request))
  return exit(0)
}

/** What the keeper of bundles answers, a program of its own: this one has no schemas, no archives and no signatures in it. */
function askKeeper(request: unknown): string {
  const options = { cwd: '/', env: environment, encoding: 'utf8', timeout: 120_000 } as const
  const input = `${JSON.stringify(request)}\n`
  const kept = spawnSync(execPath, [join(installation, 'bundle-keeper')], { ...options, input })
  if (kept.status !== 0) throw new Refusal('the bundle keeper cannot be started')
  return kept.stdout
}

function assertPluginId(plugin: unknown): asserts plugin is string {
  if (typeof plugin !== 'string' || plugin.length > 64 || !idPattern.test(plugin))
    throw new Refusal('the plugin id is malformed')
}

/** A file is trusted when it and every folder above it belong to root and nobody else may write them, and no link leads elsewhere. */
function assertRootOwned(file: string): void {
  const found = lstatSync(file, { throwIfNoEntry: false })
  if (!found) throw new Refusal(`${file} does not exist`)
  if (realpathSync(file) !== file) throw new Refusal(`${file} must not lead through links`)
  for (let path = file; ; path = dirname(path)) {
    const { uid, mode } = lstatSync(path)
    const sticky = (mode & 0o1000) !== 0 && path !== file
    if (uid !== 0 || ((mode & 0o022) !== 0 && !sticky)) throw new Refusal(`${path} must belong to root alone`)
    if (path === sep) return
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

function failed(error: unknown): never {
  if (error instanceof PolicyProblem) return refuse(error.message, true)
  return refuse(error instanceof Refusal ? error.message : 'the request cannot be carried out')
}

function refuse(reason: string, policy = false): never {
  const isRule = !policy || reason.startsWith('rule ')
  const refused = isRule ? reason : `rule "file": ${reason}. Until it is corrected nothing starts here.`
  stderr.write(`<4>uid ${peer} refused: ${refused}\n`)
  return answer({ refused, policy }, 126)
}

function answer(value: object, exitCode = 0): never {
  stdout.write(`${JSON.stringify(value)}\n`)
  return exit(exitCode)
}

function isPrivilege(value: unknown): value is Privilege {
  if (!isRecord(value)) return false
  const { id, program, args, env: variables = {}, effect = 'change', commands = [] } = value
  const isText = typeof id === 'string' && typeof program === 'string' && typeof effect === 'string'
  const areLists = Array.isArray(args) && isTextList(commands)
  return (
    isText &&
    program.startsWith('/') &&
    areLists &&
    isRecord(variables) &&
    isTextList(Object.values(variables))
  )
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.length <= 2100 && value.every((one) => typeof one === 'string')
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

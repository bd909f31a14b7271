#!/usr/bin/env node
import './spare-memory.ts'
import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { FleetError, type Log } from '@fleetupdate/sdk'
import { createServiceNotice } from '@fleetupdate/sdk/service'
import { enrolAnew, type Installation, runAgent } from './agent.ts'
import { type AgentConfig, defaultConfigFile, readConfig } from './config.ts'
import { examine } from './doctor/doctor.ts'
import { findingLines } from './doctor/finding.ts'
import { agentError, describeError, errorCode } from './errors.ts'
import type { StartIsolated } from './isolation/isolated-process.ts'
import { createStartIsolated } from './isolation/start-process.ts'
import { createLog } from './log.ts'
import { helperSocket } from './privilege/helper-line.ts'
import { createPrivilegedWay, type PrivilegedWay } from './privilege/privilege.ts'
import { childProgram, findProgram, startProcess } from './run.ts'
import { runAttempt } from './runner/runner.ts'
import { lockState } from './state-lock.ts'
import { runTrustCommand } from './trust-command.ts'
import { version } from './version.ts'

// The process edge: the only file that looks at arguments and environment, handles signals and sets the exit code.

const main = fileURLToPath(import.meta.url)
const folder = dirname(main)
const helper = join(folder, 'root-helper')
const systemd = existsSync('/run/systemd/system')
/** The second is where they lie in a checkout. */
const builtIn = [join(folder, 'executors'), join(folder, '../../agent-plugins')]

/** Exit code of a configuration or a call that cannot work: restarting does not help. */
const usageCode = 2

async function start(): Promise<void> {
  const [command = 'run', argument] = process.argv.slice(2)
  if (command === 'version') return void process.stdout.write(`${version}\n`)
  if (command === 'attempt' && argument !== undefined) return attempt(resolve(argument))
  if (command === 'run') return run()
  if (command === 'enroll') return enroll()
  if (command === 'doctor') return doctor(argument === '--json')
  if (command === 'trust')
    return runTrustCommand(process.argv.slice(3), {
      folder: dirname(process.env.AGENT_CONFIG || defaultConfigFile),
      uid: process.getuid?.() ?? 0,
      print: (line) => void process.stdout.write(`${line}\n`),
    })
  throw agentError('FLT_AGENT_USAGE', { command: process.argv.slice(2).join(' ') })
}

async function run(): Promise<void> {
  const config = await readConfig(process.env)
  const log = logOf(config)
  for (const warning of config.warnings) log.warn(warning)
  const unlock = await lockState(config.stateDir, process.pid)
  const stopping = stopOnSignals()
  // What an executor throws out of a timer must not take the others down: nothing of the agent's own state hangs on it.
  process.on('uncaughtException', (error) => log.error(`Uncaught: ${describeError(error)}`))
  process.on('unhandledRejection', (error) => log.error(`Unhandled: ${describeError(error)}`))
  log.info('Agent starts.', { version, server: config.serverUrl, state: config.stateDir })
  const notice = createServiceNotice(process.env, (program, args, env) => {
    startProcess({ program, args, env, stdio: ['ignore', 'ignore', 'ignore'] }).on('error', () => undefined)
  })
  stopping.addEventListener('abort', () => notice.stopping(), { once: true })
  try {
    await runAgent(config, installation(config), { log, notice, signal: stopping })
  } finally {
    await unlock()
  }
}

async function enroll(): Promise<void> {
  const config = await readConfig(process.env)
  const unlock = await lockState(config.stateDir, process.pid)
  try {
    const { agentId } = await enrolAnew(config, stopOnSignals())
    process.stdout.write(`Enrolled as ${agentId} at ${config.serverUrl}.\n`)
  } finally {
    await unlock()
  }
}

async function doctor(asJson: boolean): Promise<void> {
  const code = await doctorAsAgent(asJson)
  if (code !== undefined) {
    process.exitCode = code
    return
  }
  const findings = await examine({
    env: process.env,
    uid: process.getuid?.() ?? 0,
    version,
    builtIn,
    node: { version: process.versions.node, path: process.execPath },
    way: (config) => createPrivilegedWay(installation(config).way, { helper, systemd }),
  })
  const healthy = findings.every(({ level }) => level !== 'bad')
  const lines = asJson ? [JSON.stringify({ healthy, findings }, undefined, 2)] : findingLines(findings)
  await new Promise((done) => process.stdout.write(`${lines.join('\n')}\n`, done))
  process.exitCode = healthy ? 0 : 1
}

/** Root sees other things than the agent does: it examines as the agent's user. undefined: this process is as good. */
async function doctorAsAgent(asJson: boolean): Promise<number | undefined> {
  const program = findProgram('setpriv')
  if (process.getuid?.() !== 0 || program === undefined) return undefined
  const config = await readConfig(process.env).catch(() => undefined)
  const owner = config && (await stat(config.stateDir).catch(() => undefined))
  if (!owner || owner.uid === 0) return undefined
  const user = [`--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups']
  const { AGENT_CONFIG, AGENT_ID, SERVER_URL } = process.env
  const set = Object.entries({ AGENT_CONFIG, AGENT_ID, SERVER_URL })
  const env = Object.fromEntries(set.flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])))
  const self = [process.execPath, main, 'doctor', ...(asJson ? ['--json'] : [])]
  const args = [...user, '--', ...self]
  const child = startProcess({ program, args, env, stdio: ['ignore', 1, 2] })
  return (await childProgram(child, 'setpriv').ended)[0]
}

async function attempt(dir: string): Promise<void> {
  const log = createLog((line) => void process.stderr.write(`${line}\n`), { least: 'info' })
  const crashed = new AbortController()
  process.on('uncaughtException', (error) => crashed.abort(error))
  process.on('unhandledRejection', (error) => crashed.abort(error))
  const shutdown = stopOnSignals()
  await runAttempt({
    dir,
    pid: process.pid,
    way: (kind) => createPrivilegedWay(kind, { helper, systemd }),
    startIsolated: (kind) => isolation(createPrivilegedWay(kind, { helper, systemd })),
    log,
    shutdown,
    crashed: crashed.signal,
  })
}

function isolation(way: PrivilegedWay): StartIsolated {
  const { open } = way
  return createStartIsolated({
    ...{ node: process.execPath, main, systemd },
    throughHelper:
      open && (({ id: plugin, bundle }, seconds) => open({ verb: 'isolate', plugin, bundle, seconds })),
  })
}

function installation(config: AgentConfig): Installation {
  const asRoot = process.getuid?.() === 0
  const throughHelper = existsSync(helperSocket) ? 'socket' : existsSync(helper) ? 'sudo' : 'none'
  return {
    version,
    uid: process.getuid?.() ?? 0,
    node: process.execPath,
    main,
    helper,
    builtIn,
    way: config.privilege === 'auto' ? (asRoot ? 'direct' : throughHelper) : config.privilege,
    systemd,
    startIsolated: isolation,
  }
}

function logOf({ verbose }: AgentConfig): Log {
  return createLog((line) => void process.stderr.write(`${line}\n`), { least: verbose ? 'debug' : 'info' })
}

function stopOnSignals(): AbortSignal {
  const stopping = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => stopping.abort(new Error('stopped')))
  return stopping.signal
}

start().then(
  () => process.exit(),
  (error: unknown) => {
    const known = error instanceof FleetError
    const more = process.env.VERBOSE === '1' && error instanceof Error ? `\n${error.stack}` : ''
    process.stderr.write(
      `fleetupdate-agent: ${describeError(error)}${known ? ` (${errorCode(error)})` : ''}${more}\n`,
    )
    process.exit(/^FLT_AGENT_|^FLT_ENROL_SECRET/.test(errorCode(error)) ? usageCode : 1)
  },
)

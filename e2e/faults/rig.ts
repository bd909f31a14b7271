import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type FleetClient, logIn, startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import type { Lab } from './fault.ts'
import { createPatientClient, type PatientClient } from './patient-client.ts'

/** A fleet made of real processes, all of which end with the fault. */
export interface Rig {
  readonly fleet: TestFleet
  readonly url: string
  readonly dataDir: string
  /** For while the server is up. */
  readonly client: FleetClient
  /** Asks again while the server is away. */
  readonly patient: PatientClient
  /** The file in which the lab's commands leave a line for each start. */
  readonly ledger: string
  startAgent(id: string, options?: AgentOptions): AgentProcess
  /** A client of a session of its own, for where the first one was ended. */
  logInAgain(): Promise<PatientClient>
  online(ids: readonly string[], timeoutMs?: number): Promise<void>
}

export interface AgentOptions {
  /** Default: the server's own address. */
  readonly url?: string
  readonly env?: Readonly<Record<string, string>>
  /** Default: a folder of its own, by its id. */
  readonly stateDir?: string
  /** A program before node, for example strace. */
  readonly prefix?: readonly string[]
}

export interface AgentProcess {
  readonly id: string
  readonly pid: number
  readonly stateDir: string
  output(): string
  signal(signal: NodeJS.Signals): void
  kill(signal: NodeJS.Signals): Promise<void>
  start(): void
  /** Resolves with the exit code when it ends by itself; -1 where a signal ended it. */
  ended(): Promise<number>
}

const psk = 'a-secret-for-tests-0123456789'

export interface RigOptions {
  /** Added to the server's environment. */
  readonly env?: Readonly<Record<string, string>>
  /** Default: `data` in the fault's folder. */
  readonly dataDir?: string
  /** Default: a free one. */
  readonly port?: number
}

/** The server did not come up at all: whatever was to be tried was not, and no break was shown to be noticed. */
export class NoFleet extends Error {}

/** Starts a server in the fault's folder, without agents; throws {@link NoFleet}. */
export async function startRig(lab: Lab, options: RigOptions = {}): Promise<Rig> {
  const { env = {}, dataDir = join(lab.folder, 'data') } = options
  mkdirSync(join(dataDir, 'plugins'), { recursive: true, mode: 0o700 })
  cpSync(lab.build.labPlugin, join(dataDir, 'plugins', 'lab'), { recursive: true })
  const fleet = await startTestFleet({
    serverEntry: lab.build.server,
    pluginDirs: [lab.build.plugins],
    agents: [],
    env,
    dataDir,
    ...(options.port === undefined ? {} : { port: options.port }),
  }).catch((error: unknown) => {
    throw new NoFleet(String(error))
  })
  lab.onEnd(() => fleet.server.kill('SIGKILL'))
  const rig: Rig = {
    fleet,
    url: fleet.url,
    dataDir,
    client: fleet.client,
    patient: createPatientClient(fleet.client),
    ledger: join(lab.folder, 'ledger'),
    startAgent(id, options = {}) {
      const agent = createAgent(id, {
        folder: lab.folder,
        entry: lab.build.agent,
        url: fleet.url,
        ...options,
      })
      lab.onEnd(() => agent.kill('SIGKILL'))
      agent.start()
      return agent
    },
    logInAgain: async () => createPatientClient(await logIn(fleet.url, 'admin', 'a password for tests')),
    online: async (ids, timeoutMs = 60_000) => {
      await rig.patient.until(
        'the agents to be online',
        async () => {
          const views = await Promise.all(ids.map((id) => rig.patient.agent(id)))
          return views.every((view) => view?.status === 'online')
        },
        timeoutMs,
      )
    },
  }
  writeFileSync(rig.ledger, '')
  return rig
}

interface AgentSettings extends AgentOptions {
  readonly folder: string
  readonly entry: string
  readonly url: string
}

function createAgent(id: string, settings: AgentSettings): AgentProcess {
  const { stateDir = join(settings.folder, 'agents', id) } = settings
  mkdirSync(stateDir, { recursive: true, mode: 0o700 })
  const config = join(stateDir, 'config.yaml')
  const keys = {
    id,
    server_url: settings.url,
    psk,
    state_dir: stateDir,
    poll_interval: 5,
  }
  const lines = Object.entries(keys).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}`)
  writeFileSync(config, ['agent:', ...lines, ''].join('\n'), { mode: 0o600 })
  const [program = process.execPath, ...args] = [...(settings.prefix ?? []), process.execPath, settings.entry]
  let child: ChildProcess | undefined
  let printed = ''
  return {
    id,
    stateDir,
    get pid() {
      return child?.pid ?? -1
    },
    output: () => printed,
    signal(signal) {
      child?.kill(signal)
    },
    async kill(signal) {
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill(signal)
      await ended
    },
    async ended() {
      if (child && child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      return child?.exitCode ?? -1
    },
    start() {
      child = spawn(program, args, {
        env: {
          PATH: process.env.PATH ?? '',
          HOME: process.env.HOME ?? '',
          AGENT_CONFIG: config,
          NO_PROMPT: '1',
          ...settings.env,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      child.stdout?.on('data', (data) => (printed = (printed + data).slice(-20_000)))
      child.stderr?.on('data', (data) => (printed = (printed + data).slice(-20_000)))
    },
  }
}

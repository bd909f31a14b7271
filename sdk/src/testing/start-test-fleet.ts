import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { findPrograms } from './find-programs.ts'
import { type FleetClient, logIn } from './fleet-client.ts'
import { startProcess, type TestProcess } from './test-process.ts'

export interface TestFleetOptions {
  /** Built plugin folders, copied into the fleet's data folder. */
  readonly plugins?: readonly string[]
  /** More folders whose sub-folders are plugins or executors, used as they are. The server always loads those that come with it. */
  readonly pluginDirs?: readonly string[]
  readonly executorDirs?: readonly string[]
  /** The trust file (YAML) of the agents. Default: executors that nobody signed may run. */
  readonly trust?: string
  /** Ids of the agents to start. Default: one, `vm-01`. */
  readonly agents?: readonly string[]
  /** Added to the server's environment. */
  readonly env?: Readonly<Record<string, string>>
  /** Entry files; default: what {@link findPrograms} finds. */
  readonly serverEntry?: string
  readonly agentEntry?: string
  /** Keep the data of an earlier fleet. */
  readonly dataDir?: string
  /** Default: one the system chooses. */
  readonly port?: number
  /** Of the user `admin`. Default: one that everybody can read here. */
  readonly password?: string
  /** Told of every line that the server (`server`) and the agents (their ids) print. */
  print?(who: string, line: string): void
}

/** A real server and real agents, each a process of its own, on loopback and in a temporary folder. */
export interface TestFleet {
  readonly client: FleetClient
  readonly url: string
  readonly dataDir: string
  readonly server: TestProcess
  readonly agents: ReadonlyMap<string, TestProcess>
  stop(): Promise<void>
}

const psk = 'a-secret-for-tests-0123456789'
const knownPassword = 'a password for tests'

/**
 * Starts a fleet and waits until all its agents are online.
 *
 * @example
 * const fleet = await startTestFleet({ plugins: ['./dist-of-my-plugin'], agents: ['vm-01'] })
 */
export async function startTestFleet(options: TestFleetOptions = {}): Promise<TestFleet> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'fleet-'))
  const installed = join(dataDir, 'plugins')
  mkdirSync(installed, { recursive: true })
  for (const folder of options.plugins ?? [])
    cpSync(resolve(folder), join(installed, basename(resolve(folder))), {
      recursive: true,
      filter: (source) => basename(source) !== 'node_modules',
    })

  const { password = knownPassword, print } = options
  const printAs = (who: string) => print && ((line: string) => print(who, line))
  let port = options.port ?? 0
  let url = ''
  const server = await startProcess({
    entry: options.serverEntry ?? findPrograms().server,
    environment: () => ({
      DATA_DIR: dataDir,
      HOST: '127.0.0.1',
      PORT: String(port),
      SERVER_PSK: psk,
      UI_USER: 'admin',
      UI_PASSWORD: password,
      JWT_SECRET: 'a-signing-secret-for-tests-0123456789',
      PLUGIN_DIRS: (options.pluginDirs ?? []).map((dir) => resolve(dir)).join(','),
      ...options.env,
    }),
    ready: async (child) => {
      url = await readyUrl(child)
      port = Number(new URL(url).port)
    },
    print: printAs('server'),
  })
  const client = await logIn(url, 'admin', password)
  const agents = new Map<string, TestProcess>()
  const fleet: TestFleet = {
    client,
    url,
    dataDir,
    server,
    agents,
    async stop() {
      await Promise.all([...agents.values()].map((agent) => agent.kill('SIGTERM')))
      await server.kill('SIGTERM')
      if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true })
    },
  }
  const executors = [...(options.executorDirs ?? []).map((dir) => resolve(dir)), installed]
  try {
    for (const id of options.agents ?? ['vm-01'])
      agents.set(
        id,
        await startAgent(id, fleet, {
          ...{ executors, entry: options.agentEntry, print: printAs(id) },
          trust: options.trust ?? 'unsigned: allow\n',
        }),
      )
    await client.until('all agents to be online', async () => {
      const states = await Promise.all([...agents.keys()].map((id) => client.agent(id)))
      return states.every((agent) => agent?.status === 'online')
    })
  } catch (error) {
    const printed = [server, ...agents.values()].map((child) => child.output()).join('\n')
    await fleet.stop()
    throw new Error(`The test fleet did not start.\n${printed}`, { cause: error })
  }
  return fleet
}

function startAgent(
  id: string,
  { url, dataDir }: TestFleet,
  { executors, entry, print, trust }: AgentStart,
): Promise<TestProcess> {
  const stateDir = join(dataDir, 'agents', id)
  mkdirSync(stateDir, { recursive: true, mode: 0o700 })
  const config = join(stateDir, 'config.yaml')
  const settings = { id, server_url: url, psk, state_dir: stateDir, executors, poll_interval: 5 }
  const lines = Object.entries(settings).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}`)
  writeFileSync(config, ['agent:', ...lines, ''].join('\n'), { mode: 0o600 })
  writeFileSync(join(stateDir, 'trust.yaml'), trust, { mode: 0o600 })
  return startProcess({
    entry: entry ?? findPrograms().agent,
    environment: () => ({ AGENT_CONFIG: config, NO_PROMPT: '1' }),
    ready: async () => undefined,
    print,
  })
}

interface AgentStart {
  readonly executors: readonly string[]
  readonly trust: string
  readonly entry: string | undefined
  readonly print: ((line: string) => void) | undefined
}

async function readyUrl(child: ChildProcess): Promise<string> {
  for (;;) {
    const [message] = (await once(child, 'message')) as [{ type?: string; url?: string }]
    if (message.type === 'ready' && message.url) return message.url
  }
}

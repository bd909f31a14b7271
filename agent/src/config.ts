import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { createCheck } from './check.ts'
import { agentError, describeError, errorCode } from './errors.ts'
import { Apps, ConfigKeys } from './schemas.ts'

/** What an operator decides about one agent, checked. */
export interface AgentConfig {
  readonly file: string
  /** Absent only on a machine that is enrolled already. */
  readonly id: string | undefined
  /** Origin, and the path where a proxy gives the server one: `https://example.com/fleet`, without a slash at the end. */
  readonly serverUrl: string
  /** PEM certificates of the only authority the server's certificate may come from; undefined: those Node knows. */
  readonly ca: string | undefined
  /** SERVER_PSK or an enrolment token; only an enrolment needs it. */
  readonly psk: string | undefined
  /** Time between two fact rounds. */
  readonly pollIntervalMs: number
  readonly stateDir: string
  /** Folders whose sub-folders are executors; undefined: the ones that came with the agent. */
  readonly executors: readonly string[] | undefined
  readonly privilege: 'auto' | 'direct' | 'socket' | 'sudo' | 'none'
  /** Reported as it stands, never run. */
  readonly apps: readonly unknown[]
  readonly verbose: boolean
  /** One sentence per oddity that is no error. */
  readonly warnings: readonly string[]
}

export const defaultConfigFile = '/etc/orchestrator-agent/config.yaml'

export type Environment = Readonly<Record<string, string | undefined>>

type Key = keyof typeof ConfigKeys

const fixes: Readonly<Record<Key, string>> = {
  id: 'Use 1 to 64 letters, digits, dots, dashes or underscores, beginning with a letter or digit.',
  server_url: 'Give scheme, host, port and at most a path, for example https://fleet.example.com.',
  ca_file: 'Give a PEM file with the certificates that may have signed that of the server.',
  psk: 'Give the SERVER_PSK of the server or an enrolment token as text, in quotes.',
  poll_interval: 'Give whole seconds from 5 to 3600.',
  state_dir: 'Give a folder, for example /var/lib/orchestrator-agent.',
  executors: 'Give a list of folders.',
  privilege: 'Use auto, direct, socket, sudo or none.',
}
const variables: Readonly<Partial<Record<Key, string>>> = {
  id: 'AGENT_ID',
  server_url: 'SERVER_URL',
  psk: 'AGENT_PSK',
}

/**
 * Reads the configuration: the YAML file named by AGENT_CONFIG, overruled by AGENT_ID, SERVER_URL and AGENT_PSK. Throws
 * FLT_AGENT_CONFIG_… with the key and the fix.
 */
export async function readConfig(env: Environment): Promise<AgentConfig> {
  const file = env.AGENT_CONFIG || defaultConfigFile
  const warnings: string[] = []
  const top = await readYaml(file, env)
  const agent = section(file, top)
  for (const key of Object.keys(top))
    if (key !== 'agent' && key !== 'apps') warnings.push(`${file}: the key "${key}" is unknown and ignored.`)
  for (const key of Object.keys(agent))
    if (!(key in ConfigKeys)) warnings.push(`${file}: the key "agent.${key}" is unknown and ignored.`)

  const source = { file, agent, env }
  const url = read(source, 'server_url', ConfigKeys.server_url)
  if (url === undefined) throw invalid(file, 'agent.server_url', 'is missing', fixes.server_url)
  const apps = top.apps ?? []
  const appsCheck = createCheck(Apps)
  if (!appsCheck.accepts(apps))
    throw invalid(file, 'apps', 'is not a list', 'Give a list of at most 256 apps.')
  return {
    file,
    id: read(source, 'id', ConfigKeys.id),
    serverUrl: address(file, url),
    ca: await readAuthority(file, read(source, 'ca_file', ConfigKeys.ca_file)),
    psk: read(source, 'psk', ConfigKeys.psk),
    pollIntervalMs: (read(source, 'poll_interval', ConfigKeys.poll_interval) ?? 60) * 1000,
    stateDir: resolve(read(source, 'state_dir', ConfigKeys.state_dir) ?? '/var/lib/orchestrator-agent'),
    executors: read(source, 'executors', ConfigKeys.executors)?.map((path) => resolve(dirname(file), path)),
    privilege: read(source, 'privilege', ConfigKeys.privilege) ?? 'auto',
    apps,
    verbose: env.VERBOSE === '1',
    warnings,
  }
}

interface Source {
  readonly file: string
  readonly agent: Readonly<Record<string, unknown>>
  readonly env: Environment
}

function read<const S extends object>(source: Source, key: Key, schema: S) {
  const variable = variables[key]
  const overruled = variable === undefined ? undefined : source.env[variable] || undefined
  const value = overruled ?? source.agent[key] ?? undefined
  if (value === undefined) return undefined
  const check = createCheck(schema)
  if (check.accepts(value)) return value
  const name = overruled === undefined ? `agent.${key}` : (variable ?? key)
  const shown = key === 'psk' ? 'has a value that does not fit' : `is ${JSON.stringify(value)}`
  throw invalid(source.file, name, shown, fixes[key])
}

async function readYaml(file: string, env: Environment): Promise<Readonly<Record<string, unknown>>> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if (errorCode(error) !== 'ENOENT')
      throw invalid(file, 'the file', `cannot be read (${errorCode(error)})`, 'Correct its owner or mode.')
    if (env.SERVER_URL) return {}
    throw agentError('FLT_AGENT_CONFIG_MISSING', { file })
  }
  const { parse } = await import('yaml')
  let value: unknown
  try {
    value = parse(text)
  } catch (error) {
    const [problem = ''] = describeError(error).split('\n')
    throw agentError('FLT_AGENT_CONFIG_YAML', { file, problem: problem.replace(/:$/, '') })
  }
  if (value === null || value === undefined) return {}
  if (isRecord(value)) return value
  throw invalid(file, 'the file', 'holds no keys', 'Begin with the key "agent:".')
}

function section(file: string, top: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { agent } = top
  if (agent === undefined || agent === null) return {}
  if (isRecord(agent)) return agent
  throw invalid(file, 'agent', 'holds no keys', 'Indent agent.id and agent.server_url below "agent:".')
}

function address(file: string, text: string): string {
  try {
    const { origin, pathname } = new URL(text)
    return `${origin}${pathname.replace(/\/+$/, '')}`
  } catch {
    throw invalid(file, 'agent.server_url', `is ${JSON.stringify(text)}`, fixes.server_url)
  }
}

async function readAuthority(file: string, given: string | undefined): Promise<string | undefined> {
  if (given === undefined) return undefined
  const path = resolve(dirname(file), given)
  try {
    const text = await readFile(path, 'utf8')
    new X509Certificate(text)
    return text
  } catch (error) {
    const problem = /^E[A-Z]+$/.test(errorCode(error)) ? errorCode(error) : 'it holds no certificate'
    throw invalid(file, 'agent.ca_file', `${path} cannot be used (${problem})`, fixes.ca_file)
  }
}

function invalid(file: string, key: string, problem: string, fix: string): Error {
  return agentError('FLT_AGENT_CONFIG_INVALID', { file, key, problem, fix })
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

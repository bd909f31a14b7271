import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { readManifest } from '../build/index.ts'
import { devKey } from '../dev/dev-key.ts'
import { createReload, type Reloaded } from '../dev/reload-plugin.ts'
import { watchSources } from '../dev/watch-sources.ts'
import { builtInExecutors, findPrograms, startTestFleet, type TestFleet } from '../testing/index.ts'
import { createAdminApi } from './admin-api.ts'
import { cliError } from './errors.ts'
import { readArguments, type Terminal, type Verb } from './verb.ts'

const usage = 'fleetupdate plugin dev [FOLDER] [--server INSTALLATION] [--port N] [--data FOLDER]'

/** A server, an agent for this machine and the dashboard with the plugin of a folder in them, reloaded whenever its files change. */
export const devVerb: Verb = {
  usage,
  summary: 'Runs a plugin in a fleet of its own, and reloads it at every change. Ends with Ctrl-C.',
  async run(args, terminal) {
    const given = readArguments(usage, args, { server: 'text', port: 'text', data: 'text' })
    const folder = resolve(terminal.cwd, given.positionals[0] ?? '.')
    await readManifest(folder)
    const data = given.text('data')
    const installation = given.text('server')
    const options: DevOptions = {
      folder,
      programs: findPrograms(folder, installation && resolve(terminal.cwd, installation)),
      port: readPort(given.text('port')),
      dataDir:
        data === undefined ? mkdtempSync(join(tmpdir(), 'fleetupdate-dev-')) : resolve(terminal.cwd, data),
    }
    mkdirSync(options.dataDir, { recursive: true, mode: 0o700 })
    try {
      return await develop(options, terminal)
    } finally {
      if (data === undefined) rmSync(options.dataDir, { recursive: true, force: true })
    }
  },
}

interface DevOptions {
  readonly folder: string
  readonly programs: ReturnType<typeof findPrograms>
  readonly port: number
  readonly dataDir: string
}

async function develop(options: DevOptions, { print, signal }: Terminal): Promise<number> {
  const { folder, programs, port, dataDir } = options
  const ending = new AbortController()
  const end = (): void => ending.abort()
  signal?.addEventListener('abort', end, { once: true })
  if (signal?.aborted) return 0
  const agentId = nameOf(hostname())
  const password = randomBytes(12).toString('base64url')
  const builtIns = builtInExecutors(programs)
  print('Starting a server and an agent for this machine …')
  const fleet = await startTestFleet({
    dataDir,
    port,
    password,
    agents: [agentId],
    serverEntry: programs.server,
    agentEntry: programs.agent,
    executorDirs: builtIns === undefined ? [] : [builtIns],
    print: (who, line) => print(`${who === agentId ? 'agent' : who} │ ${line}`),
  })
  let code = 0
  try {
    for (const [who, one] of [['server', fleet.server] as const, ...fleet.agents])
      one.onExit((status) => {
        print(`✗ ${who} ended by itself (${status}); see what it said above.`)
        code = 1
        end()
      })
    print(`\n  Dashboard  ${fleet.url}   log in as admin with  ${password}`)
    print(`  Agent      ${agentId}, this very machine, as you\n`)
    const load = createLoad({ fleet, agentId, reload: await reloadOf(options, fleet), print })
    await load()
    print(`Waiting for changes in ${folder} …  (Ctrl-C ends it)`)
    for await (const _ of watchSources(folder, ending.signal)) await load()
    return code
  } finally {
    signal?.removeEventListener('abort', end)
    await fleet.stop()
    print('Stopped.')
  }
}

async function reloadOf({ folder, dataDir }: DevOptions, fleet: TestFleet) {
  return createReload(folder, await devKey(dataDir), createAdminApi(fleet.url, fleet.client.token))
}

interface Loading {
  readonly fleet: TestFleet
  readonly agentId: string
  readonly reload: () => Promise<Reloaded | undefined>
  readonly print: Terminal['print']
}

/** One round: what went wrong is told, never thrown; what ran before runs on. */
function createLoad({ fleet, agentId, reload, print }: Loading) {
  let loadedOnce = false
  return async (): Promise<void> => {
    const began = performance.now()
    try {
      const reloaded = await reload()
      if (reloaded === undefined) return print('= nothing that is shipped has changed')
      loadedOnce = true
      const { manifest, version, changed } = reloaded
      if (changed.includes('executor')) await reloadExecutor(fleet, agentId, manifest.id)
      const ms = Math.round(performance.now() - began)
      print(`✓ ${manifest.id} ${version}: ${changed.join(', ') || 'manifest'} loaded in ${ms} ms`)
    } catch (error) {
      print(`✗ ${stripVTControlCharacters(error instanceof Error ? error.message : String(error)).trim()}`)
      if (loadedOnce) print('  What ran before goes on. Correct it and save; it is tried again.')
      else print('  Nothing runs yet. Correct it and save; it is tried again.')
    }
  }
}

/** A fresh process, so that nothing of the old version stays in memory; what is being executed lives on in its own. */
async function reloadExecutor({ agents, client }: TestFleet, agentId: string, id: string): Promise<void> {
  const agent = agents.get(agentId)
  await agent?.kill('SIGTERM')
  await client.until('the agent to go', async () => (await client.agent(agentId))?.status === 'offline')
  await agent?.restart()
  const executor = await client.until('the agent to come back', async () => {
    const view = await client.agent(agentId)
    return view?.status === 'online' && (view.executors.find((one) => one.id === id) ?? 'none')
  })
  if (executor === 'none')
    throw new Error(`The agent does not load the executor of "${id}"; see what it said above.`)
  if (executor.health !== 'ok') throw new Error(`The executor does not load: ${executor.reason}`)
}

function readPort(text = '0'): number {
  const port = Number(text)
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port
  throw cliError('FLT_CLI_USAGE', { usage, problem: `${text} is no port` })
}

function nameOf(host: string): string {
  const name = host.replace(/[^A-Za-z0-9._-]/g, '-').replace(/^[^A-Za-z0-9]+/, '')
  return name.slice(0, 64) || 'this-machine'
}

import { realpath } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Log } from '@fleetupdate/sdk'
import { type AgentFrameOf, type ExecutorReport, limits } from '@fleetupdate/sdk/protocol'
import type { ServiceNotice } from '@fleetupdate/sdk/service'
import { backoffMs, pause } from './backoff.ts'
import { loadBuiltIns } from './built-in-executors.ts'
import { writeCheckedIn } from './checked-in.ts'
import { createServerClock } from './clock.ts'
import type { AgentConfig } from './config.ts'
import { createConnection, type Outbox } from './connection.ts'
import { createDelivery } from './delivery/delivery.ts'
import { createDownloads } from './delivery/download.ts'
import { createKeeperClient } from './delivery/keeper-client.ts'
import { createUnsignedExecutors } from './delivery/unsigned-executors.ts'
import { createDispatcher } from './dispatcher.ts'
import { enrol } from './enrol.ts'
import { agentError, describeError, errorCode } from './errors.ts'
import { createExecutorContext } from './executor-context.ts'
import { createExecutorHost, type ExecutorHost, type HostedExecutor } from './executor-host.ts'
import { createFacts } from './facts.ts'
import { createHttp, type SendHttp } from './http-request.ts'
import { assertConfigured, createIdentityStore, type Identity, type IdentityStore } from './identity.ts'
import type { StartIsolated } from './isolation/isolated-process.ts'
import { openJournal } from './journal.ts'
import { createKeyring } from './keyring.ts'
import { createPolicy } from './policy.ts'
import { helperSocket } from './privilege/helper-line.ts'
import { createPrivilegedWay, type PrivilegedWay } from './privilege/privilege.ts'
import { createProbeMemory } from './privilege/probe-memory.ts'
import { readBootId } from './process-record.ts'
import { createRunnerStart } from './runner-start.ts'
import { createSignedHttp, type SignedHttp } from './signed-http.ts'
import { openTicketFile } from './ticket-file.ts'

/** Where this agent is installed, and what kind of machine it is on. */
export interface Installation {
  readonly version: string
  /** Of the agent's own user. */
  readonly uid: number
  readonly node: string
  /** The agent's main module, for runners. */
  readonly main: string
  readonly helper: string
  /** Folders whose executors came with the agent; all others are somebody else's. */
  readonly builtIn: readonly string[]
  readonly way: PrivilegedWay['kind']
  readonly systemd: boolean
  /** How executors that did not come with the agent are started here. */
  startIsolated(way: PrivilegedWay): StartIsolated
}

const sweepMs = 6 * 3_600_000
const refusedMs = 300_000
/** How often an agent that waits for approval asks. */
const waitingMs = 10_000
const bootIdUnknown = 'unknown'

/** Runs the agent until the signal ends: enrols where needed, loads executors, takes up old attempts, connects. Runners live on. */
export async function runAgent(
  config: AgentConfig,
  installation: Installation,
  {
    log,
    notice,
    signal,
  }: { readonly log: Log; readonly notice: ServiceNotice; readonly signal: AbortSignal },
): Promise<void> {
  const ownFolders = await realPaths(installation.builtIn)
  const folders = config.executors ? await realPaths(config.executors) : ownFolders
  const send = createHttp(config.serverUrl, signal, config.ca)
  const builtIns = await loadBuiltIns(
    folders.filter((path) => ownFolders.includes(path)),
    log,
  )
  const loaded = builtIns.filter(({ reason }) => reason === undefined)
  log.info(`Executors: ${loaded.map(({ id, version }) => `${id} ${version}`).join(', ') || 'none'}.`)
  const executors = createExecutorHost(builtIns, log)
  const store = createIdentityStore(config.stateDir, log)
  // Also where it is not enrolled yet: then it waits for its server, and that is no fault.
  let isTurning = (): boolean => true
  notice.ready(`Belongs to ${config.serverUrl}`)
  notice.watch(async () => isTurning(), signal)
  const identity = await identify(config, { store, send, log, signal })
  if (!identity) return

  const clock = createServerClock()
  const keys = createKeyring(store, { identity, next: await store.next() }, log)
  const ticket = await openTicketFile(config.stateDir)
  const way = createPrivilegedWay(installation.way, installation)
  const probes = createProbeMemory(
    () => way.probe(executors.privileges),
    [installation.helper, helperSocket, '/etc/sudoers', '/etc/sudoers.d'],
  )
  const journal = await openJournal(config.stateDir, log)
  const scratch = join(config.stateDir, 'captures')
  const policy = createPolicy(config.file, { uid: installation.uid })
  // The connection and those who speak through it need each other: they meet through this.
  const outbox: Outbox = {
    get online() {
      return connection.online
    },
    send: (frame) => connection.send(frame),
  }
  const facts = createFacts({
    executors: () => executors.all,
    intervalMs: config.pollIntervalMs,
    context: (executor, until) =>
      factContext(executor, {
        ...{ way, log, scratch, signal: until, privileges: probes.probe },
        excludes: async (packageName) => (await policy.excluder())(packageName),
      }),
    outbox,
    clock,
    log,
    signal,
  })
  const dispatcher = createDispatcher({
    journal,
    executors,
    executorFolders: folders,
    configFile: config.file,
    way: way.kind,
    clock,
    outbox,
    startRunner: createRunnerStart({ node: [installation.node], main: installation.main }, way, log),
    policy,
    isComing: (plugin) => delivery.isComing(plugin),
    commandEnded(plugin) {
      probes.forget()
      facts.refresh(plugin).catch((error) => log.error(describeError(error)))
    },
    log,
  })
  const http = (key: Identity): SignedHttp => createSignedHttp(send, { url: config.serverUrl, clock }, key)
  const start = installation.startIsolated(way)
  const settings = dirname(config.file)
  const delivery = createDelivery({
    ...{ host: executors, stateDir: config.stateDir, settings, start, log, signal },
    keeper: createKeeperClient({
      ...{ way, settings, stateDir: config.stateDir, node: installation.node, main: installation.main },
      store: keeperStore(config, installation),
    }),
    downloads: createDownloads(() => http(keys.identity), config.stateDir, signal),
    unsigned: createUnsignedExecutors(
      folders.filter((path) => !ownFolders.includes(path)),
      { start, log },
    ),
    inUse: () => dispatcher.bundlesInUse(),
  })
  executors.onChange(() => {
    probes.forget()
    outbox.send({ type: 'executors', executors: reportsOf(executors) })
    facts.refresh('').catch((error) => log.error(describeError(error)))
  })
  const connection = createConnection({
    serverUrl: config.serverUrl,
    ca: config.ca,
    http,
    keys,
    clock,
    hello: () => ({
      ...helloFrame(config, installation, executors, dispatcher.attempts()),
      ticket: ticket.ticket,
    }),
    storeTicket: ticket.store,
    opened(welcome) {
      notice.status(`Connected to ${config.serverUrl}`)
      if (welcome.wanted) delivery.wanted(welcome.wanted)
      facts.opened(welcome.factRevision)
      dispatcher.opened()
      const at = new Date().toISOString()
      const { serverUrl, stateDir, ca } = config
      const checkedIn = { version: installation.version, at, serverUrl, ...(ca === undefined ? {} : { ca }) }
      void writeCheckedIn(stateDir, checkedIn, log)
    },
    received(frame) {
      if (frame.type === 'ack' && frame.facts !== undefined) facts.acknowledged(frame.facts)
      if (frame.type === 'executors') delivery.wanted(frame.wanted)
      dispatcher.received(frame)
    },
    log,
    signal,
  })
  isTurning = () => connection.isTurning
  await dispatcher.recover()
  await delivery.recover()
  await Promise.all([
    connection.run(),
    facts.run(),
    delivery.run(),
    sweepNowAndThen(journal, { log, signal }),
  ])
  await dispatcher.close()
}

/** Enrols anew whatever is enrolled already; the old identity is replaced only once the server confirmed the new one. */
export async function enrolAnew(config: AgentConfig, signal: AbortSignal): Promise<Identity> {
  const store = createIdentityStore(config.stateDir)
  const agentId = config.id ?? (await store.load())?.agentId
  if (agentId === undefined) throw missingId(config)
  if (config.psk === undefined) throw agentError('FLT_ENROL_SECRET_MISSING')
  const { psk, serverUrl, ca } = config
  return enrol({ agentId, psk, serverUrl, send: createHttp(serverUrl, signal, ca), store, signal })
}

interface Surroundings {
  readonly store: IdentityStore
  readonly send: SendHttp
  readonly log: Log
  readonly signal: AbortSignal
}

/** The identity on disk, or a new one; undefined where the signal ended the wait for it. */
async function identify(config: AgentConfig, surroundings: Surroundings): Promise<Identity | undefined> {
  const { store, send, log, signal } = surroundings
  const identity = await store.load()
  if (identity) {
    assertConfigured(identity, config.id)
    return identity
  }
  const { id: agentId, psk, serverUrl } = config
  if (agentId === undefined) throw missingId(config)
  if (psk === undefined) throw agentError('FLT_ENROL_SECRET_MISSING')
  let told = ''
  for (let failures = 1; !signal.aborted; failures += 1) {
    try {
      const enrolled = await enrol({ agentId, psk, serverUrl, send, store, signal })
      log.info(`Enrolled as ${agentId}.`)
      return enrolled
    } catch (error) {
      if (signal.aborted) return undefined
      const problem = describeError(error)
      // While somebody must approve, this is asked every few seconds: said once, it is enough.
      log[problem === told ? 'debug' : 'warn'](problem)
      told = problem
      if (errorCode(error) === 'FLT_ENROL_WAITING') {
        await pause(waitingMs, signal)
        continue
      }
      const refused = errorCode(error) === 'FLT_ENROL_REFUSED' || errorCode(error) === 'FLT_ENROL_IMPOSTOR'
      await pause(refused ? refusedMs : backoffMs(failures), signal)
    }
  }
  return undefined
}

/** The same folder must be known as the same, by whatever links it was named. */
function realPaths(paths: readonly string[]): Promise<readonly string[]> {
  return Promise.all(paths.map((path) => realpath(path).catch(() => resolve(path))))
}

function missingId({ file }: AgentConfig): Error {
  const fix = 'Give this machine a name of letters, digits, dots and dashes.'
  return agentError('FLT_AGENT_CONFIG_INVALID', { file, key: 'agent.id', problem: 'is missing', fix })
}

function helloFrame(
  config: AgentConfig,
  { version }: Installation,
  executors: ExecutorHost,
  attempts: AgentFrameOf<'hello'>['attempts'],
): AgentFrameOf<'hello'> {
  return {
    type: 'hello',
    protocol: limits.protocol,
    agentVersion: version,
    bootId: readBootId() || bootIdUnknown,
    executors: reportsOf(executors),
    attempts,
    ...(config.apps.length === 0 ? {} : { apps: [...config.apps] }),
  }
}

function reportsOf({ all }: ExecutorHost): ExecutorReport[] {
  return all.slice(0, 256).map(({ id, version, contractHash, reason, trust, publisher }) => ({
    ...{ id, version, contractHash, trust },
    ...(publisher === undefined ? {} : { publisher }),
    ...(reason === undefined ? { health: 'ok' } : { health: 'failed', reason: reason.slice(0, 4000) }),
  }))
}

/** Root's own place where root keeps bundles for an installed agent; else below the agent's state. */
function keeperStore({ file, stateDir }: AgentConfig, { uid }: Installation): string {
  return uid === 0 && file.startsWith('/etc/') ? '/var/lib/orchestrator-helper' : join(stateDir, 'kept')
}

function factContext(
  { id, manifest, isolated }: HostedExecutor,
  settings: Omit<Parameters<typeof createExecutorContext>[0], 'manifest'>,
) {
  const known = manifest ?? { id, sdk: '1' }
  // Programs of an isolated executor run inside its own process; only what becomes root is started from here.
  const own = isolated
    ? { manifest: { ...known, programs: [] }, bundle: isolated.bundle }
    : { manifest: known }
  return createExecutorContext({ ...settings, ...own })
}

async function sweepNowAndThen(
  journal: { sweep(nowMs: number): Promise<void> },
  { log, signal }: { readonly log: Log; readonly signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    await journal
      .sweep(Date.now())
      .catch((error) => log.error(`The journal cannot be swept: ${describeError(error)}`))
    await pause(sweepMs, signal)
  }
}

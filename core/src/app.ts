import { randomUUID } from 'node:crypto'
import type { Server as HttpsServer } from 'node:https'
import { join } from 'node:path'
import type { Log } from '@fleetupdate/sdk'
import type { FastifyInstance } from 'fastify'
import { createFleet } from './agents/create-fleet.ts'
import { checkpointsName } from './audit/checkpoints.ts'
import { createAudit } from './audit/create-audit.ts'
import { refusedRequest } from './audit/refused-request.ts'
import { auditRoutes } from './audit/routes.ts'
import { auditStateRoutes } from './audit/state-routes.ts'
import { authorize } from './auth/authorize.ts'
import { createConsolePeers } from './auth/console-peers.ts'
import { createPeople } from './auth/create-people.ts'
import { openMasterKeyOf } from './auth/existing-master-key.ts'
import { createSealer } from './auth/sealer.ts'
import { assertNotHalfRestored } from './backup/restore-backup.ts'
import { createOutputHook } from './commands/output-hook.ts'
import type { ServerConfig } from './config.ts'
import { createEngines } from './container.ts'
import { registerTopics } from './events/topics.ts'
import { followCertificate, readCertificate } from './http/certificate.ts'
import { createClientAddress } from './http/client-address.ts'
import { consoleSocketOf, openConsoleSocket } from './http/console-socket.ts'
import { createServer } from './http/create-server.ts'
import type { ReportRefusal } from './http/error-handler.ts'
import { listen } from './http/listen.ts'
import { acceptLive } from './http/live-upgrade.ts'
import type { Authenticate } from './http/mount-routes.ts'
import type { Route } from './http/routes.ts'
import { serverRoutes } from './http/server-routes.ts'
import { registerUpgrades } from './http/upgrades.ts'
import { servedInstaller } from './install/installer.ts'
import { findAgentRelease } from './install/release-folder.ts'
import { installRoutes } from './install/routes.ts'
import { pluginAdminRoutes } from './plugins/admin-routes.ts'
import { createDeliverableBundles } from './plugins/deliverable-bundles.ts'
import { createDisposers } from './plugins/disposers.ts'
import { readExecutorManifests } from './plugins/executor-manifests.ts'
import { createPluginHost } from './plugins/host.ts'
import { openInstalledBundles } from './plugins/installed-bundles.ts'
import { createInstaller } from './plugins/installer.ts'
import { createPanelAssets } from './plugins/panel-assets.ts'
import { pluginItems, pluginRoutes } from './plugins/routes.ts'
import { holdDataDir } from './store/data-lock.ts'
import { assertDatabaseNotLost } from './store/lost-database.ts'
import { serverVersion } from './version.ts'

/** A whole server, not yet listening. */
export interface App {
  /** For tests: `http.inject()`. */
  readonly http: FastifyInstance
  /** Made at this start; to be shown once. */
  readonly firstPassword: string | undefined
  /** Opens the socket in the data folder for the program `fleetupdate` alone; answers its path. */
  openConsole(name: string): Promise<string>
  /** Reads the TLS certificate again; one that does not fit is reported, and the old one stays. */
  reloadCertificate(): Promise<void>
  /** Listens for everybody, and on that socket. */
  listen(): Promise<{ readonly port: number; readonly urls: readonly string[] }>
  /** A single-use enrolment token for one new agent; '' where the id is already enrolled. */
  invite(agentId: string): Promise<string>
  /** Comes back once the thread that writes has answered, whatever its answer is: a lock or a full disk is no reason to start anew. */
  isAlive(): Promise<boolean>
  /** Undoes everything in reverse order. */
  dispose(): Promise<void>
}

const pluginTimeoutMs = 10_000
/** Goes all the way to the file and changes nothing. */
const proofOfLife = { sql: 'DELETE FROM agents WHERE 0', parameters: [] }

/** The composition root: reads from top to bottom, is disposed in reverse. Touches neither the environment nor the process. */
export async function buildApp(
  config: ServerConfig,
  { log, onFatal }: { readonly log: Log; onFatal(error: unknown): void },
): Promise<App> {
  const disposers = createDisposers()
  const report = (error: unknown, id = ''): void =>
    log.error('Unexpected error', {
      id,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    })
  const dispose = (): Promise<void> => disposers.dispose((error) => report(error))
  try {
    return await compose()
  } catch (error) {
    await dispose()
    throw error
  }

  async function compose(): Promise<App> {
    const startedAt = new Date().toISOString()
    assertNotHalfRestored(config.dataDir)
    disposers.add(await holdDataDir(config.dataDir))
    assertDatabaseNotLost(config.dataDir)
    const engines = createEngines(config, { log, onFatal })
    const store = await engines.store
    disposers.add(() => store.close())
    const { bus, live } = engines

    const masterKey = await openMasterKeyOf(store, config)
    const sealer = createSealer(masterKey)
    const checkpoints = join(config.dataDir, checkpointsName)
    const audit = await createAudit({ store, masterKey, checkpoints, log })
    disposers.add(() => audit.dispose())
    const refused: ReportRefusal = (error, request) => {
      const refusal = refusedRequest(error, request)
      if (refusal) audit.refused(refusal)
    }
    const people = await createPeople({
      store,
      sealer,
      audit,
      config,
      signal: disposers.signal,
      onSweepError: report,
    })
    disposers.add(people.sessions.onEnded((sessionId) => live.closeSession(sessionId)))
    disposers.add(people.tokens.onEnded((sessionId) => live.closeSession(sessionId)))

    const hook = createOutputHook()
    const routes: Route[] = []
    const consolePeers = createConsolePeers()
    const authenticate: Authenticate = async (request) =>
      consolePeers.identify(request) ?? people.authenticate(request)
    const certificate = config.tls && (await readCertificate(config.tls))
    const clientAddress = createClientAddress(config.trustedProxies)
    const https = certificate !== undefined || config.publicUrls.some(({ protocol }) => protocol === 'https:')
    const host = createPluginHost({
      folders: config.pluginDirs,
      corePaths: () => routes.map(({ path }) => path),
      https,
      clientAddress,
      authenticate,
      report,
      refused,
      timeoutMs: pluginTimeoutMs,
    })

    const bundles = await openInstalledBundles(config.dataDir)
    const psk = config.serverPsk === undefined ? undefined : Buffer.from(config.serverPsk)
    const release = await findAgentRelease(config, log)
    const fleet = await createFleet({
      store,
      sealer,
      audit,
      bus,
      log,
      hook,
      masterKey,
      psk,
      approveAll: config.approveAllEnrolments,
      keyRotationMs: config.keyRotationDays * 24 * 3_600_000,
      contracts: host.contracts,
      publicUrls: config.publicUrls,
      installerSha256: (serverUrl) => release && servedInstaller(release, serverUrl).sha256,
      version: serverVersion,
      bundles: createDeliverableBundles(host, bundles),
      instanceId: randomUUID(),
      ...(config.keepMs === undefined ? {} : { keepMs: config.keepMs }),
    })

    const installer = createInstaller(host, bundles)
    const panels = createPanelAssets()
    const executors = await readExecutorManifests(config.executorDirs ?? [])
    const pluginDeps = { host, panels, executors, executorCounts: () => fleet.executorCounts() }
    disposers.add(
      registerTopics(live, bus, {
        summary: async (id) => fleet.registry.summary(id),
        command: (id) => fleet.queue.read(id),
        counts: async () => fleet.registry.counts(),
        plugins: () => pluginItems(pluginDeps),
        followAudit: audit.follow,
      }),
    )

    let ready = false
    routes.push(
      ...people.routes,
      ...fleet.routes,
      ...auditRoutes(store),
      ...auditStateRoutes({ store, audit, masterKey, checkpoints }),
      ...installRoutes({ release, publicUrls: config.publicUrls }),
      ...pluginRoutes(pluginDeps),
      ...pluginAdminRoutes({ host, installer, audit, log }),
      ...serverRoutes({
        version: serverVersion,
        startedAt,
        dataDir: config.dataDir,
        publicUrls: config.publicUrls,
        states: () => Object.fromEntries(host.list().map(({ plugin, ...status }) => [plugin.id, status])),
        ready: () => ready,
        openApi: () => ({
          version: serverVersion,
          routes,
          contracts: host.contracts.all().map(({ contract }) => contract.contract),
          pluginRoutes: host
            .list()
            .flatMap(({ plugin, routes: own }) => own.map((route) => ({ plugin: plugin.id, ...route }))),
        }),
      }),
    )
    const http = await createServer({
      config,
      certificate,
      clientAddress,
      routes,
      plugins: host,
      panels,
      authenticate,
      report,
      refused,
    })
    disposers.add(() => http.close())
    // Before the app: it closes only once the last upgraded connection has ended.
    disposers.add(() => fleet.dispose())
    disposers.add(() => live.dispose())
    disposers.add(
      registerUpgrades(http.server, {
        '/api/agent/connect': (request, socket, head) => void fleet.handleUpgrade(request, socket, head),
        '/api/ws': acceptLive({ live, people, report, audit, clientAddress }),
      }),
    )
    disposers.add(() => host.dispose())
    await host.start({
      store,
      bus,
      live,
      log,
      startedAt,
      version: serverVersion,
      agents: fleet.registry,
      commands: fleet.queue,
      async submit(plugin, agentId, command, input, options) {
        const name = `${plugin}.${command}`
        const { role } = host.contracts.command(name)
        authorize({ plugin }, 'submit', { plugin: name.split('.', 1)[0] ?? '', role })
        return fleet.queue.submit({ type: 'plugin', id: plugin }, agentId, name, input, options)
      },
      readFacts: (agentId, plugin) => fleet.registry.readFacts(agentId, plugin),
      onFactsStored: (plugin, handler) => fleet.facts.onStored(plugin, handler),
      provideOutput: (output) => hook.provide(output),
      attachExternal: (agentId, agent) => fleet.attachExternal(agentId, agent),
      sealer,
    })
    const certificateFollowed =
      certificate && config.tls && followCertificate(http.server as HttpsServer, config.tls, certificate, log)
    disposers.add(() => certificateFollowed?.stop())
    ready = true
    const openConsole = async (name?: string): Promise<string> => {
      const path = consoleSocketOf(config.dataDir, name)
      disposers.add(await openConsoleSocket(http, consolePeers, path))
      return path
    }
    return {
      http,
      firstPassword: people.firstPassword?.password,
      openConsole,
      reloadCertificate: async () => certificateFollowed?.reload(),
      async listen() {
        const listening = await listen(http, config)
        await openConsole().catch((error: unknown) => log.warn(String(error)))
        return listening
      },
      invite: (agentId) => fleet.invite(agentId),
      isAlive: () =>
        store.write([proofOfLife]).then(
          () => true,
          () => true,
        ),
      dispose,
    }
  }
}

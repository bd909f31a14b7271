import type { IncomingMessage } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import Fastify, { type FastifyInstance } from 'fastify'
import type { ServerConfig } from '../config.ts'
import { fleetError } from '../errors.ts'
import type { PluginHost } from '../plugins/host.ts'
import type { PanelAssets } from '../plugins/panel-assets.ts'
import type { Certificate } from './certificate.ts'
import { type ClientAddress, registerClientAddress } from './client-address.ts'
import { registerDashboard } from './dashboard.ts'
import { registerDirectRoutes } from './direct-routes.ts'
import { type ReportError, type ReportRefusal, registerErrorHandler } from './error-handler.ts'
import { answerMalformed } from './malformed.ts'
import { type Authenticate, mountRoutes } from './mount-routes.ts'
import { answerPlainHttp } from './plain-on-tls.ts'
import { createPublicPaths } from './public-urls.ts'
import { registerBundleBodies, registerJsonBodies } from './raw-body.ts'
import type { Route } from './routes.ts'
import { registerSecurityHeaders } from './security-headers.ts'

export interface HttpOptions {
  readonly config: Pick<ServerConfig, 'publicUrls' | 'corsOrigins' | 'allowedHosts' | 'dashboardDir'>
  readonly certificate: Certificate | undefined
  readonly clientAddress: ClientAddress
  readonly routes: readonly Route[]
  readonly plugins: PluginHost
  readonly panels: PanelAssets
  readonly authenticate: Authenticate
  readonly report: ReportError
  readonly refused: ReportRefusal
}

/** The server's one HTTP app: its own routes, the plugins' instances behind it, the dashboard for everything else. */
export async function createServer(options: HttpOptions): Promise<FastifyInstance> {
  const { config, plugins, certificate } = options
  const settings = {
    logger: false,
    bodyLimit: 1024 * 1024,
    requestTimeout: 60_000,
    keepAliveTimeout: 75_000,
    connectionTimeout: 0,
    trustProxy: false,
    forceCloseConnections: true,
    clientErrorHandler: answerMalformed,
    routerOptions: { maxParamLength: 256 },
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
  }
  const app = certificate
    ? asPlain(Fastify({ ...settings, https: { cert: certificate.cert, key: certificate.key } }))
    : Fastify(settings)
  registerClientAddress(app, options.clientAddress)
  registerErrorHandler(app, options.report, options.refused)
  registerJsonBodies(app)
  registerBundleBodies(app)
  const https = certificate !== undefined || config.publicUrls.some(({ protocol }) => protocol === 'https:')
  registerSecurityHeaders(app, { https })
  const allowsHost = hostCheck(config)
  registerHostCheck(app, allowsHost)
  registerCors(app, config.corsOrigins)
  app.addHook('onRequest', (request, reply, done) => {
    const query = request.url.indexOf('?')
    const owner = plugins.owner(query < 0 ? request.url : request.url.slice(0, query))
    if (owner === undefined) done()
    else plugins.dispatch(owner, request, reply)
  })
  mountRoutes(app, options.routes, options.authenticate)
  options.panels.register(app)
  const paths = createPublicPaths(config.publicUrls)
  await registerDashboard(app, config.dashboardDir, paths)
  registerDirectRoutes(app.server, options.routes, { https, report: options.report, allowsHost })
  // Before every other listener: whatever path a proxy gave the server, its routes and the agents' signatures know nothing of it.
  for (const event of ['request', 'upgrade'] as const)
    app.server.prependListener(event, (request: IncomingMessage) => {
      request.url = paths.withoutPrefix(request.headers.host, request.url ?? '/')
    })
  return app
}

/** An app that speaks TLS, as all rooms see it: nothing below depends on which of both it is. */
function asPlain(app: FastifyInstance<HttpsServer>): FastifyInstance {
  answerPlainHttp(app.server)
  return app as unknown as FastifyInstance
}

/** Where hosts are named, only those are answered: a page of another site can't reach the server by a name of its own (DNS rebinding). */
function hostCheck({
  allowedHosts,
  publicUrls,
}: Pick<ServerConfig, 'allowedHosts' | 'publicUrls'>): (host: string | undefined) => boolean {
  if (allowedHosts.length === 0) return () => true
  const names = [...allowedHosts, ...publicUrls.map((url) => url.host), 'localhost', '127.0.0.1', '[::1]']
  const known = new Set(names.map((host) => host.toLowerCase()))
  return (given = '') => {
    const host = given.toLowerCase()
    return known.has(host) || known.has(host.replace(/:\d+$/, ''))
  }
}

function registerHostCheck(app: FastifyInstance, allowsHost: (host: string | undefined) => boolean): void {
  app.addHook('onRequest', (request, _reply, done) => {
    const { host } = request.headers
    if (allowsHost(host)) done()
    else done(fleetError('FLT_HTTP_HOST', { host: (host ?? '').slice(0, 100) }))
  })
}

/** Lets the pages of CORS_ORIGINS call the API, with cookies. Others get no header, so that their browser keeps the answer from them. */
function registerCors(app: FastifyInstance, origins: readonly string[]): void {
  if (origins.length === 0) return
  app.addHook('onRequest', async (request, reply) => {
    const { origin } = request.headers
    if (origin === undefined || !origins.includes(origin)) return
    reply.headers({
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
      'cross-origin-resource-policy': 'cross-origin',
      vary: 'Origin',
    })
    if (request.method !== 'OPTIONS') return
    reply.headers({
      'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE',
      'access-control-allow-headers': 'authorization, content-type, idempotency-key, last-event-id',
      'access-control-max-age': '600',
    })
    return reply.code(204).send()
  })
}

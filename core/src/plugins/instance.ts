import type { PluginContext, Role } from '@fleetupdate/sdk'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { type ClientAddress, registerClientAddress } from '../http/client-address.ts'
import { type ReportError, type ReportRefusal, registerErrorHandler } from '../http/error-handler.ts'
import { type Authenticate, requireRole } from '../http/mount-routes.ts'
import { registerJsonBodies } from '../http/raw-body.ts'
import { registerSecurityHeaders } from '../http/security-headers.ts'

export interface PluginRoute {
  readonly method: string
  readonly path: string
  readonly role: Role | 'public'
}

export interface PluginInstance {
  readonly app: FastifyInstance
  readonly routes: readonly PluginRoute[]
}

export interface InstanceOptions {
  readonly id: string
  /** Exact root paths of the manifest. */
  readonly rootPaths: readonly string[]
  readonly https: boolean
  readonly authenticate: Authenticate
  readonly report: ReportError
  readonly refused?: ReportRefusal
  readonly timeoutMs: number
  readonly clientAddress?: ClientAddress
}

/**
 * Builds the Fastify instance of one plugin: a failing one fails alone, and it can be replaced while the server runs.
 * `setup` registers the routes; it rejects where setup throws or hangs, where a route has no role, or leaves its paths.
 */
export async function createInstance(
  options: InstanceOptions,
  setup: (http: PluginContext['http']) => void | Promise<void>,
): Promise<PluginInstance> {
  const { id, rootPaths } = options
  const prefix = `/api/plugins/${id}`
  const routes: PluginRoute[] = []
  const app = Fastify({
    logger: false,
    requestTimeout: 30_000,
    bodyLimit: 1024 * 1024,
    pluginTimeout: options.timeoutMs,
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: true } },
  })
  if (options.clientAddress) registerClientAddress(app, options.clientAddress)
  registerErrorHandler(app, options.report, options.refused)
  registerJsonBodies(app)
  registerSecurityHeaders(app, { https: options.https })
  // What a plugin tells is of this moment, and often not for everybody; one that knows better sets its own.
  app.addHook('onRequest', (_request, reply, done) => {
    reply.header('cache-control', 'no-store')
    done()
  })
  app.addHook('onRoute', (route) => {
    const role = readRole(route.config)
    const methods = [route.method].flat()
    if (role === undefined)
      throw new Error(`the route ${methods} ${route.url} has no role (config: { role: 'viewer' })`)
    if (route.url !== prefix && !route.url.startsWith(`${prefix}/`) && !rootPaths.includes(route.url))
      throw new Error(`the route ${route.url} is not in "routes" of its manifest`)
    for (const method of methods) routes.push({ method, path: route.url, role })
  })
  app.addHook('onRequest', async (request: FastifyRequest) => {
    const role = readRole(request.routeOptions.config)
    if (role !== undefined && role !== 'public') await requireRole(request, role, options.authenticate)
  })
  try {
    app.register(
      async (scope) => {
        scope.decorate('root', app)
        await setup(scope as PluginContext['http'])
      },
      { prefix },
    )
    await app.ready()
    return { app, routes }
  } catch (error) {
    await app.close().catch(() => undefined)
    throw isTimeout(error) ? new Error(`its setup took longer than ${options.timeoutMs / 1000} s`) : error
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'FST_ERR_PLUGIN_TIMEOUT'
}

const roles: ReadonlySet<unknown> = new Set(['viewer', 'operator', 'admin', 'public'])

function readRole(config: unknown): Role | 'public' | undefined {
  if (typeof config !== 'object' || config === null || !('role' in config)) return undefined
  return roles.has(config.role) ? (config.role as Role | 'public') : undefined
}

import { hostname } from 'node:os'
import type { FastifyInstance } from 'fastify'
import type { ServerConfig } from '../config.ts'
import { fleetError } from '../errors.ts'
import { addressOf } from './public-urls.ts'

/** Starts to listen, and tells the addresses people can use. Throws FLT_START_PORT_TAKEN where something else listens there. */
export async function listen(
  app: FastifyInstance,
  config: Pick<ServerConfig, 'host' | 'port' | 'publicUrls' | 'tls'>,
): Promise<{ readonly port: number; readonly urls: readonly string[] }> {
  try {
    await app.listen({ host: config.host, port: config.port, backlog: 4096 })
  } catch (error) {
    if (hasCode(error, 'EADDRINUSE'))
      throw fleetError('FLT_START_PORT_TAKEN', { port: config.port }, { cause: error })
    if (hasCode(error, 'EACCES'))
      throw fleetError('FLT_START_PORT_FORBIDDEN', { port: config.port }, { cause: error })
    if (hasCode(error, 'EADDRNOTAVAIL') || hasCode(error, 'ENOTFOUND'))
      throw fleetError('FLT_START_HOST', { host: config.host }, { cause: error })
    throw error
  }
  const address = app.server.address()
  const port = typeof address === 'object' && address !== null ? address.port : config.port
  if (config.publicUrls.length > 0) return { port, urls: config.publicUrls.map(addressOf) }
  const scheme = config.tls ? 'https' : 'http'
  const everywhere = config.host === '0.0.0.0' || config.host === '::'
  return {
    port,
    urls: everywhere
      ? [`${scheme}://localhost:${port}`, `${scheme}://${hostname()}:${port}`]
      : [`${scheme}://${config.host}:${port}`],
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

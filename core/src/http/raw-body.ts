import type { FastifyInstance, FastifyRequest } from 'fastify'
import { fleetError } from '../errors.ts'

const empty = Buffer.alloc(0)

/** The bytes of a request's body as they came, which signatures cover; empty where there was none. */
export function rawBodyOf(request: FastifyRequest): Buffer {
  return request.rawBody ?? empty
}

/** Parses JSON bodies itself, so that the raw bytes stay known and a broken body gets a clear answer. */
export function registerJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    request.rawBody = body
    if (body.length === 0) return done(null, undefined)
    try {
      done(null, parseJson(body))
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)))
    }
  })
}

/** Lets plugin bundles through as they are; routes that take JSON refuse them by their schema. */
export function registerBundleBodies(app: FastifyInstance): void {
  const type = 'application/vnd.fleetupdate.bundle'
  app.addContentTypeParser(type, { parseAs: 'buffer' }, (_request, body: Buffer, done) => done(null, body))
}

/**
 * JSON without the keys that could reach a prototype. Looking at every key is slow, so only where such a key can be at all. Throws
 * FLT_HTTP_BODY_INVALID.
 */
export function parseJson(body: Buffer): unknown {
  const text = body.toString('utf8')
  try {
    // Written plainly, or with escaped characters.
    if (!text.includes('__proto__') && !text.includes('\\u')) return JSON.parse(text)
    return JSON.parse(text, (key, value) => (key === '__proto__' ? undefined : value))
  } catch (error) {
    const problem = error instanceof Error ? error.message : 'unreadable'
    throw fleetError('FLT_HTTP_BODY_INVALID', { problem })
  }
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Read it by {@link rawBodyOf}. */
    rawBody?: Buffer
  }
}

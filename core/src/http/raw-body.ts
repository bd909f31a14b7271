import type { FastifyInstance, FastifyRequest } from 'fastify'
import { fleetError } from '../errors.ts'

const bodies = new WeakMap<FastifyRequest, Buffer>()
const empty = Buffer.alloc(0)

/** The bytes of a request's body as they came, which signatures cover; empty where there was none. */
export function rawBodyOf(request: FastifyRequest): Buffer {
  return bodies.get(request) ?? empty
}

/** Parses JSON bodies itself, so that the raw bytes stay known and a broken body gets a clear answer. */
export function registerJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    bodies.set(request, body)
    if (body.length === 0) return done(null, undefined)
    try {
      done(null, parseJson(body))
    } catch (error) {
      done(
        fleetError('FLT_HTTP_BODY_INVALID', {
          problem: error instanceof Error ? error.message : 'unreadable',
        }),
      )
    }
  })
}

/** JSON without the keys that could reach a prototype. */
function parseJson(body: Buffer): unknown {
  return JSON.parse(body.toString('utf8'), (key, value) => (key === '__proto__' ? undefined : value))
}

import { FleetError } from '@fleetupdate/sdk'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { v7 as uuid } from 'uuid'
import { fleetError } from '../errors.ts'

export type ReportError = (error: unknown, id: string) => void
/** Told of each request that ended in an error of the catalogue; decides itself whether that was a refusal. */
export type ReportRefusal = (error: FleetError, request: FastifyRequest) => void

/** Gives an app one way to answer errors: `{ code, message, details? }`, never a stack trace. */
export function registerErrorHandler(
  app: FastifyInstance,
  report: ReportError,
  refused: ReportRefusal = () => undefined,
): void {
  app.setErrorHandler((error, request, reply) => {
    const known = toFleetError(error, report)
    refused(known, request)
    if (known.status === 413) readToEnd(request, reply)
    sendError(known, reply)
  })
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? ''
    sendError(fleetError('FLT_HTTP_NOT_FOUND', { method: request.method, path }), reply)
  })
}

/** Any thrown value as an error of the catalogue; what is not known is reported under an id and hidden. */
export function toFleetError(error: unknown, report: ReportError): FleetError {
  if (error instanceof FleetError) return error
  const known = foreignFleetError(error) ?? fastifyError(error)
  if (known) return known
  const id = uuid()
  report(error, id)
  return fleetError('FLT_INTERNAL', { id })
}

const busySeconds = 5
const discardedBytes = 64 * 1024 * 1024

/**
 * A client that is still sending would see a broken connection instead of the answer: what it announced is read and thrown away,
 * unless it is absurd.
 */
function readToEnd(request: FastifyRequest, reply: FastifyReply): void {
  if (!(Number(request.headers['content-length']) <= discardedBytes)) return
  reply.removeHeader('connection')
  request.raw.resume()
}

function sendError(known: FleetError, reply: FastifyReply): void {
  const seconds = retryAfter(known)
  if (seconds !== undefined) reply.header('retry-after', seconds)
  reply
    .code(known.status)
    .header('cache-control', 'no-store')
    .type('application/json; charset=utf-8')
    .send(known.toJSON())
}

/** Plugins bundle their own copy of the sdk, so that their errors are of another class with the same shape. */
function foreignFleetError(error: unknown): FleetError | undefined {
  if (!(error instanceof Error) || error.name !== 'FleetError') return undefined
  const { code, status, message, details } = error as FleetError
  if (typeof code !== 'string' || !/^FLT_[A-Z_]+$/.test(code) || !Number.isInteger(status)) return undefined
  return new FleetError(code, status >= 400 && status <= 599 ? status : 500, message, details)
}

function fastifyError(error: unknown): FleetError | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return fleetError('FLT_HTTP_BODY_TOO_LARGE', { limit: 'the allowed number of' })
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return fleetError('FLT_HTTP_MEDIA_TYPE')
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return fleetError('FLT_HTTP_BODY_INVALID', { problem: error.message })
    case 'FST_ERR_VALIDATION':
    case 'FST_ERR_BAD_URL':
      return fleetError('FLT_HTTP_INVALID', { problem: error.message })
    default:
      return undefined
  }
}

/** Seconds after which another try may go better: what a back-off says, a few where the server is busy or not yet ready. */
export function retryAfter({ status, details }: FleetError): number | undefined {
  const told =
    typeof details === 'object' && details !== null && 'seconds' in details ? details.seconds : undefined
  if (status === 429) return typeof told === 'number' ? Math.ceil(told) : undefined
  return status === 503 ? busySeconds : undefined
}

import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http'
import { type ReportError, retryAfter, toFleetError } from './error-handler.ts'
import { rawBodyOf } from './raw-body.ts'
import type { Route, RouteCall } from './routes.ts'
import { securityHeaders } from './security-headers.ts'

/** A request as bytes: what a signature covers. */
export interface DirectCall {
  readonly method: string
  /** Path and query as they came. */
  readonly target: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** Where it comes from. */
  readonly address: string
}

/** A JSON answer and the headers that are its own. */
export interface DirectAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export type AnswerDirectly = (call: DirectCall) => Promise<DirectAnswer>

export interface DirectOptions {
  readonly https: boolean
  readonly report: ReportError
  /** Whether this Host header may be answered; the framework says why not. */
  allowsHost(host: string | undefined): boolean
}

const bodyBytes = 1024 * 1024
const directHeaders = { 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8' }

/** The same route for the framework: requests that the direct way leaves to it, and tests that inject. */
export function handleDirectly(answer: AnswerDirectly): Route['handle'] {
  return async ({ request, reply }: RouteCall) => {
    const { status, headers, body } = await answer({
      method: request.method,
      target: request.raw.url ?? '',
      headers: request.headers,
      body: rawBodyOf(request),
      address: request.ip,
    })
    // As text, so that it leaves in one write with the head.
    return reply
      .code(status)
      .headers({ ...directHeaders, ...headers })
      .send(body)
  }
}

/**
 * Answers the routes that have `direct` before the framework sees them: most of a server's requests are heartbeats, and its hooks and
 * header bookkeeping cost more than the answer. Anything unusual (a browser, no length, too long, a strange host) goes the usual way.
 */
export function registerDirectRoutes(server: Server, routes: readonly Route[], options: DirectOptions): void {
  const direct = new Map<string, AnswerDirectly>(
    routes.flatMap(({ method, path, direct }) => (direct ? [[`${method} ${path}`, direct] as const] : [])),
  )
  const security = Object.entries({ ...securityHeaders(options.https), ...directHeaders }).flat()
  const usual = server.listeners('request') as ((
    request: IncomingMessage,
    response: ServerResponse,
  ) => void)[]
  server.removeAllListeners('request')
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const answer = direct.get(`${request.method} ${request.url}`)
    if (!answer || !isPlain(request) || !options.allowsHost(request.headers.host)) {
      for (const listener of usual) listener.call(server, request, response)
      return
    }
    readBody(request, (body) => {
      const { method = '', url = '', headers, socket } = request
      const call = { method, target: url, headers, body, address: socket.remoteAddress ?? '' }
      answer(call).then(
        (given) => send(response, security, given),
        (error) => {
          const known = toFleetError(error, options.report)
          const seconds = retryAfter(known)
          send(response, security, {
            status: known.status,
            headers: seconds === undefined ? {} : { 'retry-after': String(seconds) },
            body: JSON.stringify(known.toJSON()),
          })
        },
      )
    })
  })
}

function isPlain({ headers }: IncomingMessage): boolean {
  const length = Number(headers['content-length'])
  return (
    length > 0 &&
    length <= bodyBytes &&
    headers['content-type'] === 'application/json' &&
    headers['transfer-encoding'] === undefined &&
    headers.origin === undefined &&
    headers.expect === undefined
  )
}

/** Node cuts at content-length, and ends a connection that sends less in time. */
function readBody(request: IncomingMessage, done: (body: Buffer) => void): void {
  const parts: Buffer[] = []
  request.on('data', (part: Buffer) => parts.push(part))
  request.on('end', () => done(parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts)))
}

function send(
  response: ServerResponse,
  security: readonly string[],
  { status, headers, body }: DirectAnswer,
): void {
  if (response.destroyed) return
  const own = Object.entries(headers).flat()
  response.writeHead(status, [...security, ...own, 'content-length', String(Buffer.byteLength(body))])
  response.end(body)
}

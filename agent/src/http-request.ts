import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { agentError, errorCode, linkProblem } from './errors.ts'

export interface HttpRequest {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: Buffer
}

/** Sends one request, without redirects; rejects with FLT_LINK_FAILED. Connections are kept for the next request. */
export type SendHttp = (request: HttpRequest) => Promise<HttpAnswer>

const answerLimit = 2 * 1024 * 1024

/** The HTTP side of one server, below the path of its address. `ca` replaces the authorities that Node knows. Its idle connections end with the signal. */
export function createHttp(serverUrl: string, signal: AbortSignal, ca?: string): SendHttp {
  const secure = serverUrl.startsWith('https:')
  const options = { keepAlive: true, maxSockets: 3, timeout: 60_000 }
  const pool = secure
    ? new HttpsAgent({ ...options, ...(ca === undefined ? {} : { ca }) })
    : new HttpAgent(options)
  signal.addEventListener('abort', () => pool.destroy(), { once: true })

  const once = (request: HttpRequest): Promise<HttpAnswer> =>
    new Promise((resolve, reject) => {
      const { method, headers, body } = request
      const outgoing = (secure ? httpsRequest : httpRequest)(new URL(`${serverUrl}${request.path}`), {
        method,
        agent: pool,
        headers: { ...headers, 'content-length': String(body.length) },
        signal: AbortSignal.any([request.signal, AbortSignal.timeout(request.timeoutMs)]),
      })
      outgoing.on('error', (cause) => {
        // A connection the server had closed already: nothing was lost, a fresh one may do.
        const retry = outgoing.reusedSocket && errorCode(cause) === 'ECONNRESET'
        reject(retry ? new StaleConnection() : failed(serverUrl, cause))
      })
      outgoing.on('response', (response) => {
        readBody(response).then(
          (answer) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: answer }),
          (cause) => reject(failed(serverUrl, cause)),
        )
      })
      outgoing.end(body)
    })

  return async (request) => {
    try {
      return await once(request)
    } catch (error) {
      if (error instanceof StaleConnection) return once(request)
      throw error
    }
  }
}

/** The body of an answer, refused beyond 2 MiB. */
export async function readBody(response: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of response) {
    parts.push(part)
    bytes += part.length
    if (bytes > answerLimit) throw new Error(`the answer has more than ${answerLimit} bytes`)
  }
  return Buffer.concat(parts)
}

class StaleConnection extends Error {}

function failed(url: string, cause: unknown): Error {
  const code = errorCode(cause)
  const problem = code === 'ABORT_ERR' ? 'no answer in time' : linkProblem(cause)
  return agentError('FLT_LINK_FAILED', { url, way: 'HTTP', problem }, { cause })
}

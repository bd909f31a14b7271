import {
  deriveKey,
  newNonce,
  type SignatureHeaders,
  signRequest,
  verifyResponse,
} from '@fleetupdate/sdk/protocol'
import { createCheck, parseJson } from './check.ts'
import type { ServerClock } from './clock.ts'
import type { SendHttp } from './http-request.ts'
import type { Identity } from './identity.ts'
import { ErrorAnswer } from './schemas.ts'

/** An answer of whoever sits at the server's address. */
export interface SignedAnswer {
  readonly status: number
  /** Parsed JSON; undefined where it is none. */
  readonly body: unknown
  /** The refusal it carries, where it carries one. */
  readonly refusal: ErrorAnswer | undefined
  /** Its signature proves that the server of this agent's enrolment sent it. Only then may anything follow from it. */
  readonly trusted: boolean
}

/** Signed requests of one identity. */
export interface SignedHttp {
  /** Posts JSON; on a trusted FLT_AUTH_CLOCK it corrects the clock and tries once more. */
  post(
    path: string,
    body: unknown,
    options: { timeoutMs: number; signal: AbortSignal },
  ): Promise<SignedAnswer>
  /** Gets bytes; `query` begins with its question mark. */
  get(
    path: string,
    query: string,
    options: { timeoutMs: number; signal: AbortSignal },
  ): Promise<SignedAnswer & { readonly bytes: Buffer; readonly retryAfterMs: number }>
  /** The headers of a signed upgrade, and its nonce. */
  upgrade(path: string): { readonly headers: SignedHeaders; readonly nonce: string }
  /** Reads the answer to a request that was sent with these headers; corrects the clock where it is told to. */
  read(answer: RawAnswer, requestSignature: string): SignedAnswer
}

export type SignedHeaders = SignatureHeaders & { readonly 'content-type': string }

export interface RawAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: Buffer
}

const refusalCheck = createCheck(ErrorAnswer)
const mostRetrySeconds = 3600
const defaultRetryMs = 5000

/** Signs for one identity at one server. */
export function createSignedHttp(
  send: SendHttp,
  server: { readonly url: string; readonly clock: ServerClock },
  identity: Identity,
): SignedHttp {
  const keyId = { agentId: identity.agentId, kid: identity.kid }
  const requestKey = deriveKey(identity.root, 'http/a2s', keyId.agentId, keyId.kid)
  const answerKey = deriveKey(identity.root, 'http/s2a', keyId.agentId, keyId.kid)
  const authority = new URL(server.url).host

  const sign = (method: string, path: string, body: Buffer, nonce: string, query = '?'): SignedHeaders => {
    const contentType = 'application/json'
    const parts = { method, authority, path, query, contentType, body }
    const created = server.clock.signingSeconds()
    return { 'content-type': contentType, ...signRequest(parts, { created, nonce, keyId }, requestKey) }
  }
  const read = (answer: RawAnswer, requestSignature: string): SignedAnswer => {
    const parts = { status: answer.status, body: answer.body, requestSignature }
    const trusted = verifyResponse(parts, answer.headers, answerKey) === undefined
    const isBytes = answer.headers['content-type'] === 'application/octet-stream'
    const body = isBytes ? undefined : parseJson(answer.body.toString('utf8'))
    const refusal = answer.status >= 400 && refusalCheck.accepts(body) ? body : undefined
    if (trusted && refusal?.code === 'FLT_AUTH_CLOCK' && refusal.details?.time !== undefined)
      server.clock.correct(refusal.details.time)
    return { status: answer.status, body, refusal, trusted }
  }
  return {
    read,
    upgrade(path) {
      const nonce = newNonce()
      return { nonce, headers: sign('GET', path, Buffer.alloc(0), nonce) }
    },
    async get(path, query, options) {
      const body = Buffer.alloc(0)
      const attempt = async () => {
        const headers = sign('GET', path, body, newNonce(), query)
        const request = { method: 'GET', path: `${path}${query}`, headers: { ...headers }, body } as const
        const answer = await send({ ...request, ...options })
        const seconds = Number(answer.headers['retry-after'])
        const retryAfterMs = seconds > 0 && seconds <= mostRetrySeconds ? seconds * 1000 : defaultRetryMs
        return { ...read(answer, headers.signature), bytes: answer.body, retryAfterMs }
      }
      const first = await attempt()
      return first.trusted && first.refusal?.code === 'FLT_AUTH_CLOCK' ? attempt() : first
    },
    async post(path, value, options) {
      const body = Buffer.from(JSON.stringify(value))
      const attempt = async (): Promise<SignedAnswer> => {
        const headers = sign('POST', path, body, newNonce())
        const answer = await send({ method: 'POST', path, headers: { ...headers }, body, ...options })
        return read(answer, headers.signature)
      }
      const first = await attempt()
      return first.trusted && first.refusal?.code === 'FLT_AUTH_CLOCK' ? attempt() : first
    },
  }
}

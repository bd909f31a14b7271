import { randomBytes } from 'node:crypto'
import { FleetError } from '@fleetupdate/sdk'
import {
  limits,
  readSignatureParameters,
  signResponse,
  splitTarget,
  type VerifyFailure,
  verifyRequest,
} from '@fleetupdate/sdk/protocol'
import { fleetError } from '../errors.ts'
import type { Store, WriteStatement } from '../store/store.ts'
import type { AgentKey, AgentKeys } from './agent-keys.ts'
import type { NonceMemory } from './nonce-memory.ts'

export interface RawRequest {
  readonly method: string
  /** As it came: path and query. */
  readonly target: string
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: Uint8Array
}

/** A request whose signature is right. Where `refusal` is set, that is the answer, and it is signed. */
export interface SignedRequest {
  readonly key: AgentKey
  readonly nonce: string
  readonly signature: string
  readonly refusal?: FleetError
}

/** Lets enrolled agents in, and signs what they are answered. */
export interface AgentSignatures {
  /** Throws FLT_AUTH_SIGNATURE, which is answered unsigned: nobody is known to be on the other side. */
  verify(request: RawRequest): Promise<SignedRequest>
  /** For the audit: an effect of this request was refused later on. */
  refused(request: SignedRequest, error: FleetError): void
  /** Headers that sign an answer. */
  sign(request: SignedRequest, status: number, body: Uint8Array): Readonly<Record<string, string>>
  /** Commits the nonce together with the request's effect; the batch fails with FLT_STORE_CONFLICT on a replay. Put it first. */
  nonceStatement(request: SignedRequest): WriteStatement
}

export interface AgentSignatureOptions {
  readonly store: Store
  readonly keys: AgentKeys
  readonly nonces: NonceMemory
  readonly publicUrls: readonly URL[]
  readonly now: () => number
  /** Told of each request of an agent that is refused; `agentId` is what it claims to be. */
  onRefused?(error: FleetError, agentId: string): void
}

const problems: Readonly<Record<VerifyFailure, string>> = {
  missing: 'it has no signature',
  malformed: 'the signature is not of the profile',
  digest: 'the body is not the one that was signed',
  signature: 'the signature is wrong',
}

/** Verifies the profile of docs/reference/protocol.md section 3. Unknown agents take the same steps as known ones. */
export function createAgentSignatures(options: AgentSignatureOptions): AgentSignatures {
  const { store, keys, nonces, now, onRefused = () => undefined } = options
  const authorities = options.publicUrls.map((url) => url.host.toLowerCase())
  const nobody = randomBytes(32)

  const failure = (request: RawRequest, key: Uint8Array): VerifyFailure | undefined => {
    const { method, target, headers, body } = request
    const contentType = headers['content-type']
    if (contentType !== 'application/json') return 'malformed'
    let problem: VerifyFailure = 'signature'
    for (const authority of candidates(authorities, headers.host)) {
      const wrong = verifyRequest(
        { method, authority, ...splitTarget(target), contentType, body },
        headers,
        key,
      )
      if (wrong === undefined) return undefined
      problem = wrong
      if (wrong !== 'signature') break
    }
    return problem
  }

  const verify = async (request: RawRequest): Promise<SignedRequest> => {
    const parameters = readSignatureParameters(request.headers['signature-input'])
    if (!parameters) {
      const problem = request.headers['signature-input'] === undefined ? 'missing' : 'malformed'
      throw fleetError('FLT_AUTH_SIGNATURE', { problem: problems[problem] })
    }
    const found = keys.get(parameters.keyId.agentId, parameters.keyId.kid)
    const key = found instanceof Promise ? await found : found
    const problem = failure(request, key?.a2s ?? nobody)
    if (problem || !key) throw fleetError('FLT_AUTH_SIGNATURE', { problem: problems[problem ?? 'signature'] })
    const signed = { key, nonce: parameters.nonce, signature: String(request.headers.signature) }
    const refusal = refuse(key, parameters.created, now(), () => nonces.use(key.agentId, parameters.nonce))
    return refusal ? { ...signed, refusal } : signed
  }

  return {
    async verify(request) {
      try {
        const signed = await verify(request)
        if (signed.refusal) onRefused(signed.refusal, signed.key.agentId)
        return signed
      } catch (error) {
        const claimed = readSignatureParameters(request.headers['signature-input'])?.keyId.agentId ?? ''
        if (error instanceof FleetError) onRefused(error, claimed)
        throw error
      }
    },
    refused: ({ key }, error) => onRefused(error, key.agentId),
    sign({ key, signature }, status, body) {
      const { agentId, kid } = key
      const created = Math.floor(now() / 1000)
      const parts = { status, body, requestSignature: signature }
      return { ...signResponse(parts, { created, keyId: { agentId, kid } }, key.s2a) }
    },
    nonceStatement({ key, nonce }) {
      const { sql, parameters } = store.read
        .insertInto('agent_nonces')
        .values({ agentId: key.agentId, nonce, usedAt: now() })
        .onConflict((conflict) => conflict.doNothing())
        .compile()
      return { sql, parameters, expectedRows: 1 }
    },
  }
}

function refuse(
  key: AgentKey,
  created: number,
  nowMs: number,
  useNonce: () => boolean,
): FleetError | undefined {
  const seconds = Math.round(created - nowMs / 1000)
  if (Math.abs(created - nowMs / 1000) > limits.clockWindowSeconds)
    return fleetError('FLT_AUTH_CLOCK', { seconds }, { details: { time: new Date(nowMs).toISOString() } })
  if (key.revoked) return fleetError('FLT_AGENT_REVOKED')
  if (key.quarantine !== undefined)
    return fleetError('FLT_AGENT_QUARANTINED', { id: key.agentId, reason: key.quarantine })
  return useNonce() ? undefined : fleetError('FLT_AUTH_REPLAY')
}

/** What the agent may have signed as its server: PUBLIC_URL where it is set (a proxy may change Host), else Host. */
function candidates(authorities: readonly string[], hostHeader: unknown): readonly string[] {
  const host = typeof hostHeader === 'string' ? hostHeader.toLowerCase() : ''
  if (authorities.length === 0) return [host]
  if (authorities.includes(host)) return [host]
  // An agent on the server's own machine does not go through the proxy.
  return /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/.test(host) ? [host, ...authorities] : authorities
}

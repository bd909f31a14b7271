import { hash, randomBytes } from 'node:crypto'
import { isMacOf, macText } from './mac.ts'

/** What a request signature covers: RFC 9421 with one label, fixed components and hmac-sha256, RFC 9530 digest. */
export interface SignedRequestParts {
  readonly method: string
  /** Host and, where it is not the scheme's default, port; lower case. */
  readonly authority: string
  readonly path: string
  /** With the question mark; `?` where there is none. */
  readonly query: string
  readonly contentType: string
  readonly body: Uint8Array
}

export interface SignatureParameters {
  /** Unix seconds. */
  readonly created: number
  /** 128 bits, base64url. */
  readonly nonce: string
  readonly keyId: { readonly agentId: string; readonly kid: string }
}

export interface SignatureHeaders {
  readonly 'content-digest': string
  readonly 'signature-input': string
  readonly signature: string
}

export type VerifyFailure = 'missing' | 'malformed' | 'digest' | 'signature'

const requestComponents = '("@method" "@authority" "@path" "@query" "content-type" "content-digest")'
const responseComponents = '("@status" "content-digest" "signature";req;key="fleet")'
const keyIdPattern = '([A-Za-z0-9][A-Za-z0-9._-]{0,63})/([A-Za-z0-9]{1,16})'
const requestInput = new RegExp(
  `^fleet=${escaped(requestComponents)};created=([0-9]{1,12});nonce="([A-Za-z0-9_-]{22})";alg="hmac-sha256";keyid="${keyIdPattern}";tag="fleet-agent-v1"$`,
)
const responseInput = new RegExp(
  `^fleet=${escaped(responseComponents)};created=([0-9]{1,12});alg="hmac-sha256";keyid="${keyIdPattern}";tag="fleet-server-v1"$`,
)
const signatureValue = /^fleet=:([A-Za-z0-9+/]{43}=):$/

/** The RFC 9530 header value of a body: `sha-256=:<base64>:`. */
export function contentDigest(body: Uint8Array): string {
  return `sha-256=:${hash('sha256', body, 'base64')}:`
}

export function newNonce(): string {
  return randomBytes(16).toString('base64url')
}

/** Signs a request with the agent's `http/a2s` key; the three headers must be sent as they are. */
export function signRequest(
  parts: SignedRequestParts,
  parameters: SignatureParameters,
  key: Uint8Array,
): SignatureHeaders {
  const digest = contentDigest(parts.body)
  const { created, nonce, keyId } = parameters
  const params = `${requestComponents};created=${created};nonce="${nonce}";alg="hmac-sha256";keyid="${keyId.agentId}/${keyId.kid}";tag="fleet-agent-v1"`
  return {
    'content-digest': digest,
    'signature-input': `fleet=${params}`,
    signature: `fleet=:${macText(key, requestBase(parts, digest, params), 'base64')}:`,
  }
}

/** Reads the parameters of a signed request without trusting them; undefined where they differ from the template. */
export function readSignatureParameters(signatureInput: unknown): SignatureParameters | undefined {
  if (typeof signatureInput !== 'string' || signatureInput.length > 512) return undefined
  const match = requestInput.exec(signatureInput)
  if (!match) return undefined
  const [, created = '', nonce = '', agentId = '', kid = ''] = match
  return { created: Number(created), nonce, keyId: { agentId, kid } }
}

/** Checks a request strictly against the profile. The caller still checks the time window and the nonce. */
export function verifyRequest(
  parts: SignedRequestParts,
  headers: Readonly<Record<string, unknown>>,
  key: Uint8Array,
): VerifyFailure | undefined {
  const input = headers['signature-input']
  if (input === undefined || headers.signature === undefined) return 'missing'
  if (typeof input !== 'string' || !requestInput.test(input)) return 'malformed'
  const mac = readMac(headers.signature)
  if (!mac) return 'malformed'
  const digest = contentDigest(parts.body)
  if (headers['content-digest'] !== digest) return 'digest'
  return isMacOf(mac, key, requestBase(parts, digest, input.slice('fleet='.length)), 'base64')
    ? undefined
    : 'signature'
}

export interface SignedResponseParts {
  readonly status: number
  readonly body: Uint8Array
  /** The `signature` header of the request it answers. */
  readonly requestSignature: string
}

/** Signs an answer with the agent's `http/s2a` key; it is bound to the request's signature. */
export function signResponse(
  parts: SignedResponseParts,
  parameters: { readonly created: number; readonly keyId: SignatureParameters['keyId'] },
  key: Uint8Array,
): SignatureHeaders {
  const digest = contentDigest(parts.body)
  const { created, keyId } = parameters
  const params = `${responseComponents};created=${created};alg="hmac-sha256";keyid="${keyId.agentId}/${keyId.kid}";tag="fleet-server-v1"`
  return {
    'content-digest': digest,
    'signature-input': `fleet=${params}`,
    signature: `fleet=:${macText(key, responseBase(parts, digest, params), 'base64')}:`,
  }
}

/** Checks an answer strictly; an answer that fails must change nothing on the agent. */
export function verifyResponse(
  parts: SignedResponseParts,
  headers: Readonly<Record<string, unknown>>,
  key: Uint8Array,
): VerifyFailure | undefined {
  const input = headers['signature-input']
  if (input === undefined || headers.signature === undefined) return 'missing'
  if (typeof input !== 'string' || !responseInput.test(input)) return 'malformed'
  const mac = readMac(headers.signature)
  if (!mac) return 'malformed'
  const digest = contentDigest(parts.body)
  if (headers['content-digest'] !== digest) return 'digest'
  return isMacOf(mac, key, responseBase(parts, digest, input.slice('fleet='.length)), 'base64')
    ? undefined
    : 'signature'
}

/** Splits a raw request target into the two components the signature covers. */
export function splitTarget(target: string): { path: string; query: string } {
  const mark = target.indexOf('?')
  return mark < 0 ? { path: target, query: '?' } : { path: target.slice(0, mark), query: target.slice(mark) }
}

function requestBase(parts: SignedRequestParts, digest: string, params: string): string {
  return [
    `"@method": ${parts.method}`,
    `"@authority": ${parts.authority}`,
    `"@path": ${parts.path}`,
    `"@query": ${parts.query}`,
    `"content-type": ${parts.contentType}`,
    `"content-digest": ${digest}`,
    `"@signature-params": ${params}`,
  ].join('\n')
}

function responseBase(parts: SignedResponseParts, digest: string, params: string): string {
  const mac = signatureValue.exec(parts.requestSignature)?.[1] ?? ''
  return [
    `"@status": ${parts.status}`,
    `"content-digest": ${digest}`,
    `"signature";req;key="fleet": :${mac}:`,
    `"@signature-params": ${params}`,
  ].join('\n')
}

function readMac(header: unknown): string | undefined {
  return typeof header === 'string' ? signatureValue.exec(header)?.[1] : undefined
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

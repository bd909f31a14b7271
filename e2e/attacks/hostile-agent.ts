import { once } from 'node:events'
import { request } from 'node:http'
import {
  confirmation,
  deriveKey,
  deriveRootKey,
  deriveSessionKeys,
  newEphemeralKey,
  newNonce,
  peekPayload,
  type SessionKeys,
  signRequest,
  splitTarget,
  type Transcript,
} from '@fleetupdate/sdk/protocol'
import { WebSocket } from 'ws'

/** What an agent keeps on its disk, in an attacker's hands. */
export interface Identity {
  readonly agentId: string
  readonly kid: string
  readonly root: Buffer
}

/** A request as bytes on the wire: it can be sent again, or changed first. */
export interface Captured {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface Answer {
  readonly status: number
  readonly body: string
}

/** Enrols as the protocol says; rejects with the code of a refusal. */
export async function enrol(
  url: string,
  agentId: string,
  secret: { readonly id: string; readonly text: string },
): Promise<Identity> {
  const own = newEphemeralKey()
  const started = await step(url, { step: 'start', agentId, secretId: secret.id, agentKey: own.publicKey })
  const { enrolmentId = '', kid = '', serverKey = '' } = started
  const ids = { agentId, secretId: secret.id, enrolmentId, kid }
  const transcript: Transcript = { ...ids, agentKey: own.publicKey, serverKey }
  const root = deriveRootKey(own, serverKey, Buffer.from(secret.text), transcript)
  const proof = confirmation(root, 'agent', transcript)
  await step(url, { step: 'finish', agentId, enrolmentId, confirmation: proof })
  return { agentId, kid, root }
}

/** A rightly signed request; `nonce` default: a new one. */
export function sign(
  { agentId, kid, root }: Identity,
  url: string,
  what: { readonly method: string; readonly path: string; readonly body?: string; readonly nonce?: string },
): Captured {
  const { method, path, body = '', nonce = newNonce() } = what
  const authority = new URL(url).host
  const parts = {
    method,
    authority,
    ...splitTarget(path),
    contentType: 'application/json',
    body: Buffer.from(body),
  }
  const parameters = { created: Math.floor(Date.now() / 1000), nonce, keyId: { agentId, kid } }
  const signed = signRequest(parts, parameters, deriveKey(root, 'http/a2s', agentId, kid))
  return { method, path, body, headers: { host: authority, 'content-type': 'application/json', ...signed } }
}

/** Sends exactly these bytes of a request. */
export async function send(url: string, { method, path, headers, body }: Captured): Promise<Answer> {
  const { hostname, port } = new URL(url)
  const all = { ...headers, 'content-length': String(Buffer.byteLength(body)) }
  const outgoing = request({ hostname, port, method, path, headers: all, setHost: false })
  outgoing.end(body)
  const [incoming] = await once(outgoing, 'response')
  const parts: Buffer[] = []
  for await (const part of incoming) parts.push(part)
  return { status: incoming.statusCode, body: Buffer.concat(parts).toString() }
}

/** A poll with these frames. The first of a server process asks for its name. */
export async function poll(
  identity: Identity,
  url: string,
  frames: readonly object[],
  session?: string,
): Promise<{ readonly captured: Captured; readonly answer: Answer }> {
  const boot = await bootOf(identity, url)
  const body = JSON.stringify({ boot, wait: 0, ...(session ? { session } : {}), frames })
  const captured = sign(identity, url, { method: 'POST', path: '/api/agent/poll', body })
  return { captured, answer: await send(url, captured) }
}

/** Opens a session by poll; answers its name. */
export async function greet(identity: Identity, url: string): Promise<string> {
  const { answer } = await poll(identity, url, [hello])
  const welcome = JSON.parse(answer.body).frames.find((frame: { type: string }) => frame.type === 'welcome')
  if (!welcome) throw new Error(`The session was refused: ${answer.body}`)
  return welcome.session
}

export interface Line {
  readonly socket: WebSocket
  readonly keys: SessionKeys
  /** The upgrade, to be tried again. */
  readonly upgrade: Captured
}

/** Opens a WebSocket session up to its welcome; rejects where the upgrade is refused. */
export async function openLine(identity: Identity, url: string, again?: Captured): Promise<Line> {
  const nonce = newNonce()
  const upgrade = again ?? sign(identity, url, { method: 'GET', path: '/api/agent/connect', nonce })
  const { host: _host, ...headers } = upgrade.headers
  const address = `${url.replace(/^http/, 'ws')}${upgrade.path}`
  const socket = new WebSocket(address, { headers, perMessageDeflate: false })
  const refused = once(socket, 'error').then(([error]) => Promise.reject(error))
  const [first] = await Promise.race([once(socket, 'message'), refused])
  socket.on('error', () => undefined)
  const welcome = JSON.parse(peekPayload(String(first)) ?? '{}')
  const nonces = { agent: nonce, server: welcome.nonce }
  return { socket, upgrade, keys: deriveSessionKeys(identity.root, identity, welcome.session, nonces) }
}

export const hello = {
  type: 'hello',
  protocol: 1,
  agentVersion: '0.0.0',
  bootId: 'boot',
  executors: [],
  attempts: [],
}

async function bootOf(identity: Identity, url: string): Promise<string> {
  const body = JSON.stringify({ boot: '', wait: 0, frames: [] })
  const answer = await send(url, sign(identity, url, { method: 'POST', path: '/api/agent/poll', body }))
  return JSON.parse(answer.body).details?.boot ?? ''
}

async function step(url: string, value: object): Promise<Record<string, string>> {
  const response = await fetch(`${url}/api/agent/enroll`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(value),
  })
  const body: Record<string, string> = JSON.parse(await response.text())
  if (!response.ok) throw new Error(body.code)
  return body
}

import { EventEmitter, once } from 'node:events'
import {
  type AgentFrame,
  type AgentFrameOf,
  confirmation,
  confirms,
  deriveKey,
  deriveRootKey,
  deriveSessionKeys,
  limits,
  newEphemeralKey,
  newNonce,
  openFrame,
  peekPayload,
  type ServerFrame,
  type ServerFrameOf,
  type SessionKeys,
  sealFrame,
  signRequest,
  splitTarget,
  type Transcript,
  verifyResponse,
} from '@fleetupdate/sdk/protocol'
import { WebSocket } from 'ws'

/** What an agent keeps on its disk. */
export interface WireIdentity {
  readonly agentId: string
  readonly kid: string
  readonly root: Buffer
}

export interface SignedAnswer {
  readonly status: number
  readonly body: unknown
  /** Whether the answer carries the server's right signature. */
  readonly isSigned: boolean
  readonly retryAfter: string | null
}

/** Enrols at a server, as docs/reference/protocol.md section 1 says; throws with the code of a refusal. */
export async function enrol(
  baseUrl: string,
  agentId: string,
  secret: { readonly id: string; readonly text: string },
): Promise<WireIdentity> {
  const own = newEphemeralKey()
  const url = `${baseUrl}/api/agent/enroll`
  const started = await post(url, {
    step: 'start',
    agentId,
    secretId: secret.id,
    agentKey: own.publicKey,
  })
  const { enrolmentId = '', kid = '', serverKey = '' } = started
  const transcript: Transcript = {
    agentId,
    secretId: secret.id,
    enrolmentId,
    kid,
    agentKey: own.publicKey,
    serverKey,
  }
  const root = deriveRootKey(own, serverKey, Buffer.from(secret.text), transcript)
  const finished = await post(url, {
    step: 'finish',
    agentId,
    enrolmentId,
    confirmation: confirmation(root, 'agent', transcript),
  })
  if (!confirms(root, 'server', transcript, finished.confirmation ?? ''))
    throw new Error('The server does not know the secret.')
  return { agentId, kid, root }
}

/** Signs a request of an agent; `at` is its clock in Unix ms. */
export function signedHeaders(
  { agentId, kid, root }: WireIdentity,
  request: { readonly method: string; readonly url: string; readonly body?: string; readonly nonce?: string },
  at = Date.now(),
): Record<string, string> {
  const { host, pathname, search } = new URL(request.url)
  const signed = signRequest(
    {
      method: request.method,
      authority: host,
      ...splitTarget(pathname + search),
      contentType: 'application/json',
      body: Buffer.from(request.body ?? ''),
    },
    { created: Math.floor(at / 1000), nonce: request.nonce ?? newNonce(), keyId: { agentId, kid } },
    deriveKey(root, 'http/a2s', agentId, kid),
  )
  return { 'content-type': 'application/json', ...signed }
}

/** One signed POST; the answer's signature is checked. `headers` may come from an earlier request, to replay it. */
export async function signedPost(
  identity: WireIdentity,
  url: string,
  value: unknown,
  headers = signedHeaders(identity, { method: 'POST', url, body: JSON.stringify(value) }),
): Promise<SignedAnswer> {
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(value) })
  const body = Buffer.from(await response.arrayBuffer())
  const key = deriveKey(identity.root, 'http/s2a', identity.agentId, identity.kid)
  const problem = verifyResponse(
    { status: response.status, body, requestSignature: headers.signature ?? '' },
    Object.fromEntries(response.headers),
    key,
  )
  return {
    status: response.status,
    body: JSON.parse(body.toString()),
    isSigned: problem === undefined,
    retryAfter: response.headers.get('retry-after'),
  }
}

/**
 * One agent on the wire, without executors: connects over WebSocket, greets, and leaves the rest to its owner. It keeps no frames
 * unless `record` is set, so that thousands fit in one process. Emits `frame` and `closed`.
 */
export class WireAgent extends EventEmitter<{ frame: [ServerFrame]; closed: [number] }> {
  readonly frames: ServerFrame[] = []
  record = true
  /** Undefined: it knows no tickets; else it stores each it is given, and confirms it. */
  ticket: string | undefined
  confirms = true
  #socket: WebSocket | undefined
  #keys: SessionKeys | undefined
  #sent = 0
  #received = 0

  constructor(
    readonly baseUrl: string,
    public identity: WireIdentity,
  ) {
    super()
    this.setMaxListeners(0)
  }

  /** Resolves when hello was sent; the server has taken it in when it answers the next ping. */
  async connect(hello: Partial<AgentFrameOf<'hello'>> = {}): Promise<ServerFrameOf<'welcome'>> {
    const url = `${this.baseUrl}/api/agent/connect`
    const nonce = newNonce()
    const headers = signedHeaders(this.identity, { method: 'GET', url, nonce })
    const socket = new WebSocket(url.replace(/^http/, 'ws'), { headers, perMessageDeflate: false })
    this.#socket = socket
    this.#sent = 0
    this.#received = 0
    this.#keys = undefined
    socket.on('message', (data) => this.#take(socket, nonce, String(data)))
    socket.on('close', (code) => this.emit('closed', code))
    const welcome = new Promise<ServerFrameOf<'welcome'>>((resolve, reject) => {
      const onFrame = (frame: ServerFrame): void => {
        if (frame.type !== 'welcome') return
        this.off('frame', onFrame)
        resolve(frame)
      }
      this.on('frame', onFrame)
      socket.on('error', reject)
      socket.on('unexpected-response', (_request, response) => {
        reject(new Error(`refused with ${response.statusCode}`))
        socket.terminate()
      })
    })
    const greeting = await welcome
    this.send({
      type: 'hello',
      protocol: limits.protocol,
      agentVersion: '0.0.0-wire',
      bootId: 'boot-1',
      executors: [],
      attempts: [],
      ...(this.ticket === undefined ? {} : { ticket: this.ticket }),
      ...hello,
    })
    return greeting
  }

  /** Connects and waits until the server counts the agent as online. */
  async join(hello: Partial<AgentFrameOf<'hello'>> = {}): Promise<void> {
    await this.connect(hello)
    await this.settle()
  }

  send(frame: AgentFrame): void {
    if (this.#keys) this.sendText(sealFrame(this.#keys, 'a2s', ++this.#sent, JSON.stringify(frame)))
  }

  /** Sends a message as it is; for attacks. */
  sendText(text: string): void {
    this.#socket?.send(text)
  }

  /** Resolves when the server has handled what was sent before and answered it: acks arrive in order. */
  async settle(): Promise<void> {
    const item = { plugin: 'wire', fact: 'settled', value: 1, observedAt: new Date().toISOString() }
    const revision = ++this.#settles
    const acked = this.next('ack', (frame) => frame.facts === revision)
    this.send({ type: 'facts', items: [{ ...item, revision }] })
    await acked
  }
  #settles = 1_000_000

  /** The next frame of a type, from now on. */
  async next<T extends ServerFrame['type']>(
    type: T,
    matches: (frame: ServerFrameOf<T>) => boolean = () => true,
  ): Promise<ServerFrameOf<T>> {
    for await (const [frame] of onFrames(this)) {
      const found = asType(frame, type)
      if (found && matches(found)) return found
    }
    throw new Error(`The session ended before ${type} came.`)
  }

  close(): void {
    this.#socket?.close()
  }

  /** As if the cable was cut. */
  terminate(): void {
    this.#socket?.terminate()
  }

  async closed(): Promise<number> {
    const [code] = await once(this, 'closed')
    return code
  }

  #take(socket: WebSocket, nonce: string, text: string): void {
    if (!this.#keys) this.#keys = this.#derive(nonce, text)
    const payload = openFrame(this.#keys, 's2a', ++this.#received, text)
    if (payload === undefined) {
      socket.terminate()
      return
    }
    const frame: ServerFrame = JSON.parse(payload)
    if (this.record) this.frames.push(frame)
    if (frame.type === 'ticket' && this.ticket !== undefined) {
      this.ticket = frame.ticket
      if (this.confirms) this.send(frame)
    }
    this.emit('frame', frame)
  }

  #derive(nonce: string, text: string): SessionKeys {
    const welcome: ServerFrameOf<'welcome'> = JSON.parse(peekPayload(text) ?? '{}')
    const nonces = { agent: nonce, server: welcome.nonce ?? '' }
    return deriveSessionKeys(this.identity.root, this.identity, welcome.session, nonces)
  }
}

function onFrames(agent: WireAgent): AsyncIterable<[ServerFrame]> {
  const waiting: ServerFrame[] = []
  let wake: (() => void) | undefined
  let isOver = false
  const onFrame = (frame: ServerFrame): void => {
    waiting.push(frame)
    wake?.()
  }
  const onClosed = (): void => {
    isOver = true
    wake?.()
  }
  agent.on('frame', onFrame)
  agent.on('closed', onClosed)
  return {
    async *[Symbol.asyncIterator]() {
      try {
        for (;;) {
          const frame = waiting.shift()
          if (frame) yield [frame] as [ServerFrame]
          else if (isOver) return
          else
            await new Promise<void>((resolve) => {
              wake = resolve
            })
        }
      } finally {
        agent.off('frame', onFrame)
        agent.off('closed', onClosed)
      }
    },
  }
}

function asType<T extends ServerFrame['type']>(frame: ServerFrame, type: T): ServerFrameOf<T> | undefined {
  return frame.type === type ? (frame as ServerFrameOf<T>) : undefined
}

async function post(url: string, value: unknown): Promise<Record<string, string>> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(value) })
  const body: Record<string, string> = JSON.parse(await response.text())
  if (!response.ok) throw Object.assign(new Error(body.message), { code: body.code, status: response.status })
  return body
}

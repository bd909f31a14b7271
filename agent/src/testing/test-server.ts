import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import {
  type AgentFrame,
  type AgentFrameOf,
  confirmation,
  confirms,
  deriveKey,
  deriveRootKey,
  deriveSessionKeys,
  newEphemeralKey,
  newNonce,
  openFrame,
  readSignatureParameters,
  type ServerFrame,
  sealFrame,
  signResponse,
  splitTarget,
  type Transcript,
  verifyRequest,
} from '@fleetupdate/sdk/protocol'
import { type WebSocket, WebSocketServer } from 'ws'

/** The server's side of the protocol in one file, for tests: it keeps what agents say in memory and says what a test tells it to. */
export interface TestServer {
  readonly url: string
  /** All frames of the agent so far. */
  readonly frames: readonly AgentFrame[]
  readonly sessions: readonly { readonly way: 'WebSocket' | 'poll' }[]
  /** Resolves with the first frame of a type that fits, also an earlier one. */
  until<T extends AgentFrame['type']>(
    type: T,
    fits?: (frame: AgentFrameOf<T>) => boolean,
  ): Promise<AgentFrameOf<T>>
  send(frame: ServerFrame): void
  /** The output stored of a command, put together by offset as a server does it. */
  output(commandId: string): { readonly stored: string; readonly end: number }
  /** Ends the current session without a word. */
  drop(): void
  /** What it does wrong on purpose. */
  readonly faults: {
    webSocketBlocked: boolean
    acknowledgeOutput: boolean
    acknowledgeResults: boolean
    acknowledgeFacts: boolean
    unsigned: boolean
    loseFinishAnswers: number
    clockOffsetSeconds: number
  }
  /** What it hands out as bundles, by the hash it says they have. */
  readonly bundles: Map<string, Buffer>
  readonly enrolled: ReadonlyMap<string, { readonly root: Buffer; readonly kid: string }>
  close(): Promise<void>
}

export async function startTestServer(psk: string): Promise<TestServer> {
  const frames: AgentFrame[] = []
  const sessions: { way: 'WebSocket' | 'poll' }[] = []
  const enrolled = new Map<string, { root: Buffer; kid: string }>()
  const open = new Map<string, { root: Buffer; transcript: Transcript }>()
  const outputs = new Map<string, { stored: string; end: number }>()
  const bundles = new Map<string, Buffer>()
  const listeners = new Set<() => void>()
  const boot = randomUUID()
  const faults: TestServer['faults'] = {
    webSocketBlocked: false,
    acknowledgeOutput: true,
    acknowledgeResults: true,
    acknowledgeFacts: true,
    unsigned: false,
    loseFinishAnswers: 0,
    clockOffsetSeconds: 0,
  }
  let deliver: ((frame: ServerFrame) => void) | undefined
  let socketNow: WebSocket | undefined
  let pollQueue: ServerFrame[] = []
  let pollWaiter: (() => void) | undefined
  let pollSession = ''
  let tickets = 0

  const now = (): number => Date.now() + faults.clockOffsetSeconds * 1000
  const handle = (frame: AgentFrame): void => {
    frames.push(frame)
    if (frame.type === 'ping') deliver?.({ type: 'pong' })
    if (frame.type === 'hello' && frame.ticket !== undefined)
      deliver?.({ type: 'ticket', ticket: `ticket-${++tickets}` })
    if (frame.type === 'facts' && faults.acknowledgeFacts)
      deliver?.({ type: 'ack', facts: Math.max(...frame.items.map((item) => item.revision)) })
    if (frame.type === 'output' && faults.acknowledgeOutput) {
      const { commandId, epoch } = frame
      const known = outputs.get(commandId) ?? { stored: '', end: 0 }
      if (frame.offset === known.end)
        outputs.set(commandId, { stored: known.stored + frame.text, end: frame.end })
      deliver?.({ type: 'ack', commandId, epoch, output: outputs.get(commandId)?.end ?? 0 })
    }
    if (frame.type === 'result' && faults.acknowledgeResults)
      deliver?.({ type: 'ack', commandId: frame.commandId, epoch: frame.epoch, result: true })
    for (const listener of listeners) listener()
  }
  const welcome = (session: string, nonce?: string): ServerFrame => ({
    type: 'welcome',
    protocol: 1,
    serverVersion: 'test',
    session,
    ...(nonce === undefined ? {} : { nonce }),
    time: new Date(now()).toISOString(),
    factRevision: 0,
  })
  const authenticate = (request: IncomingMessage, body: Buffer) => {
    const parameters = readSignatureParameters(request.headers['signature-input'])
    const agent = parameters && enrolled.get(parameters.keyId.agentId)
    if (!parameters || !agent) return undefined
    const parts = {
      method: request.method ?? '',
      authority: request.headers.host ?? '',
      ...splitTarget(request.url ?? ''),
      contentType: request.headers['content-type'] ?? '',
      body,
    }
    const { agentId, kid } = parameters.keyId
    const failure = verifyRequest(parts, request.headers, deriveKey(agent.root, 'http/a2s', agentId, kid))
    return failure === undefined ? { agent, agentId, parameters } : undefined
  }
  const answerSigned = (
    request: IncomingMessage,
    response: ServerResponse,
    who: { agent: { root: Buffer; kid: string }; agentId: string },
    status: number,
    value: unknown,
  ): void => {
    const isBytes = Buffer.isBuffer(value)
    const body = isBytes ? value : Buffer.from(JSON.stringify(value))
    const key = deriveKey(who.agent.root, 'http/s2a', who.agentId, who.agent.kid)
    const keyId = { agentId: who.agentId, kid: who.agent.kid }
    const requestSignature = String(request.headers.signature)
    const created = Math.floor(now() / 1000)
    const headers = signResponse({ status, body, requestSignature }, { created, keyId }, key)
    const type = { 'content-type': isBytes ? 'application/octet-stream' : 'application/json' }
    response.writeHead(status, faults.unsigned ? type : { ...type, ...headers })
    response.end(body)
  }
  const clockIsOff = (created: number): boolean => Math.abs(created - now() / 1000) > 300

  const poll = (request: IncomingMessage, response: ServerResponse, body: Buffer): void => {
    const who = authenticate(request, body)
    if (!who) return void plain(response, 401, { code: 'FLT_AUTH_SIGNATURE', message: 'unknown' })
    const value = JSON.parse(body.toString()) as {
      boot: string
      wait: number
      session?: string
      frames: AgentFrame[]
    }
    if (value.boot !== boot)
      return void answerSigned(request, response, who, 409, {
        code: 'FLT_AUTH_BOOT',
        message: 'restarted',
        details: { boot },
      })
    if (value.session === undefined) {
      pollSession = randomUUID()
      pollQueue = [welcome(pollSession)]
      sessions.push({ way: 'poll' })
      deliver = (frame) => {
        pollQueue.push(frame)
        pollWaiter?.()
      }
    } else if (value.session !== pollSession)
      return void answerSigned(request, response, who, 409, { code: 'FLT_SESSION_UNKNOWN', message: 'ended' })
    for (const frame of value.frames) handle(frame)
    const answer = (): void => {
      clearTimeout(timer)
      if (pollWaiter === answer) pollWaiter = undefined
      if (!response.headersSent)
        answerSigned(request, response, who, 200, { boot, frames: pollQueue.splice(0) })
    }
    const timer = setTimeout(answer, value.wait * 1000)
    if (value.wait === 0 || pollQueue.length > 0) answer()
    else pollWaiter = answer
  }
  const handOut = (request: IncomingMessage, response: ServerResponse): void => {
    const who = authenticate(request, Buffer.alloc(0))
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://server')
    const bundle = bundles.get(pathname.split('/').at(-1) ?? '')
    if (!who) return void plain(response, 401, { code: 'FLT_AUTH_SIGNATURE', message: 'unknown' })
    if (!bundle)
      return void answerSigned(request, response, who, 404, { code: 'FLT_DELIVERY_GONE', message: 'gone' })
    const from = Number(searchParams.get('from'))
    answerSigned(request, response, who, 200, bundle.subarray(from, from + 512 * 1024))
  }
  const enrol = (response: ServerResponse, body: Buffer): void => {
    const value = JSON.parse(body.toString()) as Record<string, string>
    const agentId = value.agentId ?? ''
    if (value.step === 'start') {
      if (enrolled.has(agentId))
        return void plain(response, 409, { code: 'FLT_ENROL_ID_TAKEN', message: 'taken' })
      const own = newEphemeralKey()
      const transcript: Transcript = {
        agentId,
        secretId: value.secretId ?? '',
        enrolmentId: newNonce(),
        kid: 'k1',
        agentKey: value.agentKey ?? '',
        serverKey: own.publicKey,
      }
      const root = deriveRootKey(own, transcript.agentKey, Buffer.from(psk), transcript)
      open.set(transcript.enrolmentId, { root, transcript })
      const { enrolmentId, kid, serverKey } = transcript
      return void plain(response, 200, { enrolmentId, kid, serverKey, time: new Date(now()).toISOString() })
    }
    const known = open.get(value.enrolmentId ?? '')
    if (!known) return void plain(response, 410, { code: 'FLT_ENROL_EXPIRED', message: 'expired' })
    if (!confirms(known.root, 'agent', known.transcript, value.confirmation ?? ''))
      return void plain(response, 403, { code: 'FLT_ENROL_REFUSED', message: 'wrong secret' })
    enrolled.set(agentId, { root: known.root, kid: 'k1' })
    if (faults.loseFinishAnswers > 0) {
      faults.loseFinishAnswers -= 1
      return void response.destroy()
    }
    plain(response, 200, {
      confirmation: confirmation(known.root, 'server', known.transcript),
      time: new Date(now()).toISOString(),
    })
  }
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const body = Buffer.concat(parts)
      if (request.url === '/api/agent/enroll') enrol(response, body)
      else if (request.url === '/api/agent/poll') poll(request, response, body)
      else if (request.url?.startsWith('/api/agent/bundles/')) handOut(request, response)
      else plain(response, 404, { code: 'FLT_HTTP_NOT_FOUND', message: 'nothing' })
    })
  })
  const upgrader = new WebSocketServer({ noServer: true, perMessageDeflate: false })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const who = authenticate(request, Buffer.alloc(0))
    if (faults.webSocketBlocked || !who)
      return socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n')
    if (clockIsOff(who.parameters.created)) {
      const response = refusal(who, String(request.headers.signature))
      return socket.end(response)
    }
    upgrader.handleUpgrade(request, socket, head, (webSocket) => {
      const session = randomUUID()
      const nonce = newNonce()
      const identity = { agentId: who.agentId, kid: who.agent.kid }
      const nonces = { agent: who.parameters.nonce, server: nonce }
      const root = faults.unsigned ? randomBytes(32) : who.agent.root
      const keys = deriveSessionKeys(root, identity, session, nonces)
      let sent = 0
      let received = 0
      const send = (frame: ServerFrame): void => {
        sent += 1
        webSocket.send(sealFrame(keys, 's2a', sent, JSON.stringify(frame)))
      }
      webSocket.on('message', (data) => {
        received += 1
        const payload = openFrame(keys, 'a2s', received, String(data))
        if (payload === undefined) return webSocket.close(4401)
        const frame = JSON.parse(payload) as AgentFrame
        if (frame.type === 'hello') {
          sessions.push({ way: 'WebSocket' })
          deliver = send
          socketNow = webSocket
        }
        handle(frame)
      })
      send(welcome(session, nonce))
    })
  })
  function refusal(
    who: { agent: { root: Buffer; kid: string }; agentId: string },
    requestSignature: string,
  ): string {
    const time = new Date(now()).toISOString()
    const body = Buffer.from(JSON.stringify({ code: 'FLT_AUTH_CLOCK', message: 'clock', details: { time } }))
    const keyId = { agentId: who.agentId, kid: who.agent.kid }
    const key = deriveKey(who.agent.root, 'http/s2a', keyId.agentId, keyId.kid)
    const created = Math.floor(now() / 1000)
    const headers = signResponse({ status: 401, body, requestSignature }, { created, keyId }, key)
    const lines = Object.entries({ ...headers, 'content-length': String(body.length) })
    return `HTTP/1.1 401 Unauthorized\r\n${lines.map((line) => line.join(': ')).join('\r\n')}\r\n\r\n${body}`
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    frames,
    sessions,
    enrolled,
    bundles,
    faults,
    send: (frame) => deliver?.(frame),
    output: (commandId) => outputs.get(commandId) ?? { stored: '', end: 0 },
    drop: () => socketNow?.terminate(),
    until(type, fits = () => true) {
      const find = () => frames.find((frame) => frame.type === type && fits(frame as never))
      return new Promise((resolve) => {
        const look = (): void => {
          const found = find()
          if (!found) return
          listeners.delete(look)
          resolve(found as never)
        }
        listeners.add(look)
        look()
      })
    },
    async close() {
      for (const client of upgrader.clients) client.terminate()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function plain(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(value))
}

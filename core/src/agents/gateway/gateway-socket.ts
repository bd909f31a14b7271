import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { FleetError, type Log } from '@fleetupdate/sdk'
import {
  type AgentFrame,
  deriveSessionKeys,
  limits,
  newNonce,
  type WantedExecutors,
} from '@fleetupdate/sdk/protocol'
import { type RawData, type WebSocket, WebSocketServer } from 'ws'
import type { AgentSignatures, SignedRequest } from '../../auth/agent-signatures.ts'
import { fleetError } from '../../errors.ts'
import { retryAfter } from '../../http/error-handler.ts'
import { refuseUpgrade } from '../../http/upgrades.ts'
import type { Store } from '../../store/store.ts'
import type { Admitted } from '../admission.ts'
import type { Presence } from '../presence.ts'
import { closeCodes } from '../session.ts'
import { parseFrame } from './frames.ts'
import type { HandshakeGate } from './handshake-gate.ts'
import type { Inbound } from './inbound.ts'
import { inboxPauseBytes, SocketSession } from './socket-session.ts'
import { takeTicket } from './take-ticket.ts'

/** Agents over WebSocket, docs/reference/protocol.md section 4. */
export interface SocketGateway {
  /** For upgrades to GET /api/agent/connect; answers every refusal itself. Never rejects. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void>
  dispose(): void
}

export interface SocketGatewayOptions {
  readonly store: Store
  readonly signatures: AgentSignatures
  readonly presence: Presence
  readonly inbound: Inbound
  readonly gate: HandshakeGate
  readonly log: Log
  readonly version: string
  wanted(): WantedExecutors
  readonly now: () => number
  /** Where an upgrade comes from. */
  readonly addressOf: (request: IncomingMessage) => string
}

/** A signed upgrade request whose nonce is spent. */
interface Opening {
  readonly signed: SignedRequest
  readonly factRevision: number
  readonly address: string
}

const helloMs = 5_000
/** An agent's disk may be slow. */
const ticketMs = 15_000
const pong = { type: 'pong' } as const

export function createSocketGateway(options: SocketGatewayOptions): SocketGateway {
  const { store, signatures, presence, inbound, gate, log, version, wanted, now } = options
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: limits.frameBytes,
    perMessageDeflate: false,
    clientTracking: false,
  })
  const sessions = new Map<WebSocket, SocketSession>()
  /** Before their hello, oldest first. */
  const greeting = new Set<SocketSession>()
  /** Between hello and the confirmed ticket, and since when; oldest first. */
  const waiting = new Map<SocketSession, number>()
  const sweep = setInterval(() => {
    gate.sweep()
    for (const session of greeting) {
      if (session.lastHeardMs + helloMs > now()) break
      greeting.delete(session)
      session.close(closeCodes.silent, 'No hello in time.')
    }
    for (const [session, sinceMs] of waiting) {
      if (sinceMs + ticketMs > now()) break
      waiting.delete(session)
      session.close(closeCodes.silent, 'The ticket was not confirmed in time.')
    }
  }, 500)
  sweep.unref()

  const join = async (session: SocketSession, payload: string): Promise<void> => {
    const read = parseFrame(payload)
    if (read.kind !== 'frame' || read.frame.type !== 'hello')
      return session.close(closeCodes.malformed, 'The first frame must be hello.')
    greeting.delete(session)
    const { frame } = read
    await admit(session, () => inbound.hello(session, frame))
  }
  const admit = async (session: SocketSession, decide: () => Promise<Admitted>): Promise<void> => {
    session.state = 'joining'
    waiting.delete(session)
    // What the agent says next waits in its own buffers, however long the store takes.
    session.socket.pause()
    try {
      const admitted = await gate.proceed(decide)
      if (admitted === 'ended') return
      if (session.socket.readyState !== session.socket.OPEN) return presence.end(session)
      session.state = admitted
      if (admitted === 'live') session.waitingBytes = 0
      if (admitted === 'waiting') waiting.set(session, now())
      // One that was read before the socket paused.
      const early = admitted === 'waiting' ? takeTicket(session) : undefined
      if (early) return await admit(session, () => inbound.ticket(session, early))
      if (admitted === 'live' && session.inbox.length > 0) void inbound.receive(session, [])
    } catch (error) {
      log.error('An agent could not be let in', { agentId: session.agentId, error: String(error) })
      session.close(closeCodes.stopping, 'Try again.')
    } finally {
      session.socket.resume()
    }
  }

  const handle = (session: SocketSession, frame: AgentFrame, bytes: number): void => {
    if (session.state === 'waiting' && frame.type === 'ticket')
      return void admit(session, () => inbound.ticket(session, frame))
    if (session.state !== 'live') {
      session.inbox.push(frame)
      session.waitingBytes += bytes
      if (session.waitingBytes > inboxPauseBytes)
        session.close(closeCodes.malformed, 'Confirm the ticket first.')
      return
    }
    session.waitingBytes += bytes
    if (session.waitingBytes > inboxPauseBytes) session.socket.pause()
    void inbound.receive(session, [frame]).then(() => {
      session.waitingBytes -= bytes
      if (session.socket.isPaused && session.waitingBytes < inboxPauseBytes / 2) session.socket.resume()
    })
  }
  const receive = (session: SocketSession, payload: string): void => {
    const read = parseFrame(payload)
    if (read.kind === 'malformed') session.close(closeCodes.malformed, 'A frame fits no schema.')
    if (read.kind !== 'frame') return
    const { frame } = read
    if (frame.type === 'ping') session.send(pong)
    else if (frame.type !== 'hello' && frame.type !== 'pong') handle(session, frame, payload.length)
  }

  function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
    const session = sessions.get(this)
    if (!session || this.readyState !== this.OPEN) return
    const payload = isBinary ? undefined : session.open(String(data))
    if (payload === undefined) {
      session.close(closeCodes.unauthentic, 'Wrong MAC or sequence.')
      return
    }
    presence.heard(session)
    if (session.state === 'greeting') void join(session, payload)
    else receive(session, payload)
  }
  function onClose(this: WebSocket): void {
    const session = sessions.get(this)
    sessions.delete(this)
    if (!session) return
    greeting.delete(session)
    waiting.delete(session)
    presence.end(session)
  }
  function onError(this: WebSocket): void {
    this.terminate()
  }

  const refuse = (socket: Duplex, error: unknown, signed?: SignedRequest): void => {
    if (!(error instanceof FleetError)) log.error('An agent could not connect', { error: String(error) })
    const known = error instanceof FleetError ? error : fleetError('FLT_STORE_BUSY')
    const body = Buffer.from(JSON.stringify(known.toJSON()))
    const seconds = retryAfter(known)
    refuseUpgrade(socket, known.status, known.toJSON(), {
      ...(seconds === undefined ? {} : { 'retry-after': String(seconds) }),
      ...(signed && signatures.sign(signed, known.status, body)),
    })
  }
  /** Checks an upgrade request and commits its nonce; undefined: it was refused. */
  const open = async (request: IncomingMessage, socket: Duplex): Promise<Opening | undefined> => {
    let signed: SignedRequest | undefined
    try {
      const target = request.url ?? ''
      signed = await signatures.verify({ method: 'GET', target, headers: request.headers, body: noBody })
      if (signed.refusal) throw signed.refusal
      await useNonce(store, signatures, signed)
      const factRevision = await inbound.factRevision(signed.key.agentId)
      return { signed, factRevision, address: options.addressOf(request) }
    } catch (error) {
      refuse(socket, error, signed)
      return undefined
    }
  }
  const welcome = (socket: WebSocket, { signed, factRevision, address }: Opening): void => {
    const { key, nonce } = signed
    const serverNonce = newNonce()
    const keys = deriveSessionKeys(key.root, key, newNonce(), { agent: nonce, server: serverNonce })
    const session = new SocketSession(key, address, socket, keys, now())
    sessions.set(socket, session)
    greeting.add(session)
    socket.on('message', onMessage)
    socket.on('close', onClose)
    socket.on('error', onError)
    session.send({
      type: 'welcome',
      protocol: limits.protocol,
      serverVersion: version,
      session: keys.session,
      nonce: serverNonce,
      time: new Date(now()).toISOString(),
      factRevision,
      wanted: wanted(),
    })
  }

  return {
    async handleUpgrade(request, socket, head) {
      const ignore = (): void => void socket.destroy()
      socket.on('error', ignore)
      // Agents are no browsers: a page that got hold of nothing must not even try.
      if (request.headers.origin !== undefined) return refuse(socket, fleetError('FLT_HTTP_CROSS_SITE'))
      const isSocket = request.method === 'GET' && isEmpty(request)
      const target = { method: request.method, path: '/api/agent/connect' }
      if (!isSocket) return refuse(socket, fleetError('FLT_HTTP_NOT_FOUND', target))
      const upgrade = async (): Promise<void> => {
        if (socket.destroyed) return
        const opening = await open(request, socket)
        if (!opening || socket.destroyed) return
        socket.off('error', ignore)
        server.handleUpgrade(request, socket, head, (ws) => welcome(ws, opening))
      }
      await gate.enter(upgrade).catch((error) => refuse(socket, error))
    },
    dispose() {
      clearInterval(sweep)
      for (const session of sessions.values()) session.close(closeCodes.stopping, 'The server stops.')
      server.close()
    },
  }
}

const noBody = Buffer.alloc(0)

/** Commits the nonce of a request; a replay, also one after a restart, is FLT_AUTH_REPLAY. */
export async function useNonce(
  store: Store,
  signatures: AgentSignatures,
  signed: SignedRequest,
): Promise<void> {
  try {
    await store.write([signatures.nonceStatement(signed)])
  } catch (error) {
    if (!(error instanceof FleetError) || error.code !== 'FLT_STORE_CONFLICT') throw error
    const replay = fleetError('FLT_AUTH_REPLAY')
    signatures.refused(signed, replay)
    throw replay
  }
}

function isEmpty({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] === undefined && (headers['content-length'] ?? '0') === '0'
}

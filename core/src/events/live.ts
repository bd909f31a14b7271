import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { FleetError, type LiveSubscription, type Role } from '@fleetupdate/sdk'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { type WebSocket, WebSocketServer } from 'ws'
import { authorize } from '../auth/authorize.ts'
import { fleetError } from '../errors.ts'
import type { SignedIn } from '../http/routes.ts'

/** The live socket of browsers: one per tab, many topics. */
export interface LiveHub {
  /**
   * Registers a topic; `open` runs for each subscriber of at least that role (default viewer) and sends until its signal aborts. Returns
   * the function that removes it.
   */
  topic(
    name: string,
    open: (subscription: LiveSubscription) => void | Promise<void>,
    rule?: { readonly role: Role },
  ): () => void
  /** Takes over an upgrade request of somebody who was let in. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, subject: SignedIn): void
  /** Ends the sockets of a session that was ended. */
  closeSession(sessionId: string): void
  dispose(): void
}

/** Beyond this a reader is told to catch up from the store; beyond four times this it is cut. In bytes. */
const slowBytes = 1024 * 1024
const topicsPerSocket = 64

const clientMessage = Compile(
  Type.Object({
    op: Type.Enum(['subscribe', 'unsubscribe', 'ping']),
    topic: Type.Optional(Type.String({ maxLength: 200 })),
    from: Type.Optional(Type.Integer({ minimum: 0 })),
  }),
)

interface Topic {
  readonly open: Parameters<LiveHub['topic']>[1]
  readonly role: Role
}

export function createLiveHub(report: (error: unknown) => void): LiveHub {
  const server = new WebSocketServer({ noServer: true, maxPayload: 16 * 1024, perMessageDeflate: false })
  const topics = new Map<string, Topic>()
  const sockets = new Map<WebSocket, string>()
  const alive = new WeakSet<WebSocket>()
  const heartbeat = setInterval(() => {
    for (const socket of sockets.keys()) {
      if (!alive.has(socket)) socket.terminate()
      alive.delete(socket)
      socket.ping()
    }
  }, 30_000)
  heartbeat.unref()

  return {
    topic(name, open, { role } = { role: 'viewer' }) {
      if (topics.has(name)) throw new Error(`the live topic "${name}" is already served`)
      topics.set(name, { open, role })
      return () => topics.delete(name)
    },
    accept(request, socket, head, subject) {
      server.handleUpgrade(request, socket, head, (ws) => {
        sockets.set(ws, subject.sessionId)
        alive.add(ws)
        const open = new Map<string, AbortController>()
        ws.on('pong', () => alive.add(ws))
        ws.on('error', () => ws.terminate())
        ws.on('close', () => {
          sockets.delete(ws)
          for (const abort of open.values()) abort.abort()
        })
        ws.on('message', (data) => {
          const message = parse(String(data))
          if (!message) return ws.close(4400, 'Send { op, topic, from? }.')
          alive.add(ws)
          if (message.op === 'ping') return ws.send('{"pong":true}')
          const topic = message.topic ?? ''
          open.get(topic)?.abort()
          open.delete(topic)
          if (message.op === 'unsubscribe') return
          if (open.size >= topicsPerSocket)
            return refuse(ws, topic, 'FLT_LIVE_TOO_MANY', 'Unsubscribe from a topic first.')
          const serve = topics.get(topic.split(':', 1)[0] ?? '')
          if (!serve) return refuse(ws, topic, 'FLT_LIVE_UNKNOWN', `There is no topic "${topic}".`)
          try {
            authorize(subject, 'follow', serve)
          } catch (error) {
            const known = error instanceof FleetError ? error : fleetError('FLT_AUTH_REQUIRED')
            return refuse(ws, topic, known.code, known.message)
          }
          const abort = new AbortController()
          open.set(topic, abort)
          const subscription = createSubscription(ws, topic, message.from ?? 0, subject, abort.signal)
          Promise.resolve()
            .then(() => serve.open(subscription))
            .catch((error: unknown) => {
              report(error)
              refuse(ws, topic, 'FLT_LIVE_FAILED', 'This topic failed. Subscribe again.')
            })
        })
      })
    },
    closeSession(sessionId) {
      for (const [socket, id] of sockets) if (id === sessionId) socket.close(4403, 'Logged out.')
    },
    dispose() {
      clearInterval(heartbeat)
      for (const socket of sockets.keys()) socket.close(1001, 'The server stops.')
      server.close()
    },
  }
}

function createSubscription(
  ws: WebSocket,
  topic: string,
  from: number,
  subject: SignedIn,
  signal: AbortSignal,
): LiveSubscription {
  let waiting: (() => void)[] = []
  const wake = (): void => {
    if (ws.bufferedAmount > slowBytes / 4 && !signal.aborted) return
    for (const resolve of waiting) resolve()
    waiting = []
  }
  signal.addEventListener('abort', wake, { once: true })
  return {
    argument: topic.includes(':') ? topic.slice(topic.indexOf(':') + 1) : '',
    from,
    subject: { name: subject.name, role: subject.role },
    signal,
    send(data) {
      if (signal.aborted) return false
      if (ws.bufferedAmount > 4 * slowBytes) {
        ws.terminate()
        return false
      }
      ws.send(encode(topic, data), { binary: false }, wake)
      return ws.bufferedAmount < slowBytes
    },
    drained() {
      if (signal.aborted || ws.bufferedAmount < slowBytes / 4) return Promise.resolve()
      return new Promise((resolve) => waiting.push(resolve))
    },
  }
}

/** What goes to many readers of a topic in the same form is encoded once, and stands in memory once. */
const encoded = new WeakMap<object, { readonly topic: string; readonly bytes: Buffer }>()

function encode(topic: string, data: unknown): Buffer {
  const key = typeof data === 'object' && data !== null ? data : undefined
  const known = key && encoded.get(key)
  if (known?.topic === topic) return known.bytes
  const bytes = Buffer.from(JSON.stringify({ topic, data }))
  if (key) encoded.set(key, { topic, bytes })
  return bytes
}

function parse(text: string): { op: string; topic?: string; from?: number } | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return clientMessage.Check(value) ? value : undefined
  } catch {
    return undefined
  }
}

function refuse(ws: WebSocket, topic: string, code: string, message: string): void {
  ws.send(JSON.stringify({ topic, error: { code, message } }))
}

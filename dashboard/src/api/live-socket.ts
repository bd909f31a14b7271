import type { TopicHandlers } from '@fleetupdate/sdk/panel'
import { isRecord } from './request.ts'

export type LiveState = 'idle' | 'connecting' | 'open' | 'lost'

/** The one WebSocket of this tab; topics are resubscribed after every reconnection. */
export interface LiveSocket {
  subscribe(topic: string, handlers: TopicHandlers): () => void
  /** Called after each reconnection: what happened in between must be read again. */
  onRegain(handler: () => void): () => void
  start(): void
  stop(): void
}

export interface LiveSocketOptions {
  readonly url: () => URL
  readonly onState: (state: LiveState) => void
  /** Called when a connection could not be made, so that the caller can look whether the session is still good. */
  readonly onRefused: () => void
}

const firstDelayMs = 300
const longestDelayMs = 15_000

export function createLiveSocket(options: LiveSocketOptions): LiveSocket {
  const topics = new Map<string, Set<TopicHandlers>>()
  const regained = new Set<() => void>()
  let socket: WebSocket | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let failures = 0
  let wanted = false
  let wasOpen = false

  const send = (message: object): void => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message))
  }
  const sendSubscribe = (topic: string): void => {
    const offsets = [...(topics.get(topic) ?? [])].flatMap(({ from }) => (from ? [from()] : []))
    send({ op: 'subscribe', topic, ...(offsets.length > 0 ? { from: Math.min(...offsets) } : {}) })
  }
  const connect = (): void => {
    clearTimeout(timer)
    if (!wanted || socket) return
    options.onState(wasOpen ? 'lost' : 'connecting')
    const url = options.url()
    url.protocol = url.protocol.replace('http', 'ws')
    const current = new WebSocket(url)
    socket = current
    let opened = false
    current.onopen = () => {
      opened = true
      failures = 0
      options.onState('open')
      for (const topic of topics.keys()) sendSubscribe(topic)
      if (wasOpen) for (const handler of regained) handler()
      wasOpen = true
    }
    current.onmessage = ({ data }) => receive(String(data))
    current.onclose = () => {
      socket = undefined
      if (!wanted) return
      if (!opened) options.onRefused()
      options.onState('lost')
      failures += 1
      timer = setTimeout(
        connect,
        Math.random() * Math.min(longestDelayMs, firstDelayMs * 2 ** failures) + firstDelayMs,
      )
    }
  }
  const receive = (text: string): void => {
    const message: unknown = JSON.parse(text)
    if (!isRecord(message) || typeof message.topic !== 'string') return
    for (const handlers of topics.get(message.topic) ?? []) {
      if (isRecord(message.error))
        handlers.problem?.({ code: String(message.error.code), message: String(message.error.message) })
      else handlers.data(message.data)
    }
  }
  const soon = (): void => {
    failures = 0
    if (document.visibilityState === 'visible') connect()
  }

  return {
    subscribe(topic, handlers) {
      const set = topics.get(topic) ?? new Set()
      topics.set(topic, set.add(handlers))
      if (set.size === 1 || handlers.from) sendSubscribe(topic)
      return () => {
        set.delete(handlers)
        if (set.size > 0 || topics.get(topic) !== set) return
        topics.delete(topic)
        send({ op: 'unsubscribe', topic })
      }
    },
    onRegain(handler) {
      regained.add(handler)
      return () => regained.delete(handler)
    },
    start() {
      if (wanted) return
      wanted = true
      addEventListener('online', soon)
      document.addEventListener('visibilitychange', soon)
      connect()
    },
    stop() {
      wanted = false
      wasOpen = false
      clearTimeout(timer)
      removeEventListener('online', soon)
      document.removeEventListener('visibilitychange', soon)
      socket?.close()
      socket = undefined
      options.onState('idle')
    },
  }
}

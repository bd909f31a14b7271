import { EventEmitter } from 'node:events'
import type { Channel } from '@fleetupdate/agent/src/channel.ts'
import { createServerClock } from '@fleetupdate/agent/src/clock.ts'
import { openSocket } from '@fleetupdate/agent/src/connection-socket.ts'
import type { SendHttp } from '@fleetupdate/agent/src/http-request.ts'
import { createSignedHttp, type SignedHttp } from '@fleetupdate/agent/src/signed-http.ts'
import type { WireIdentity } from '@fleetupdate/core/testing'
import { type AgentFrame, limits, type ServerFrame, type ServerFrameOf } from '@fleetupdate/sdk/protocol'

const connectMs = 120_000
/** An upgrade needs the signer alone. */
const noRequests: SendHttp = () => Promise.reject(new Error('Simulated agents send no requests.'))

/** An agent without a machine on the real agent's own channel. Emits `frame` for everything but `welcome`. */
export class SimAgent extends EventEmitter<{ frame: [ServerFrame] }> {
  readonly #http: SignedHttp
  #channel: Channel | undefined
  #cut: AbortController | undefined
  #revision = 0

  constructor(
    readonly url: string,
    readonly identity: WireIdentity,
  ) {
    super()
    this.setMaxListeners(0)
    this.#http = createSignedHttp(noRequests, { url, clock: createServerClock() }, identity)
  }

  /** Resolves when the server has welcomed it and hello was sent. */
  async connect(): Promise<void> {
    this.#cut = new AbortController()
    const options = {
      serverUrl: this.url,
      http: () => this.#http,
      keys: { identity: this.identity },
      storeTicket: async () => undefined,
      ca: undefined,
      hello,
      receive: (frame: ServerFrame): void => void this.emit('frame', frame),
      signal: this.#cut.signal,
    }
    this.#channel = await openSocket(options, connectMs)
  }

  send(frame: AgentFrame): void {
    this.#channel?.send(frame)
  }

  /** Sends facts; resolves when the server has them durably. */
  async tell(plugin: string, facts: Readonly<Record<string, unknown>>): Promise<void> {
    const last = this.#revision + Object.keys(facts).length
    const stored = this.next('ack', ({ facts: upTo = 0 }) => upTo >= last)
    this.say(plugin, facts)
    await stored
  }

  /** Sends facts and does not wait. */
  say(plugin: string, facts: Readonly<Record<string, unknown>>): void {
    const observedAt = new Date().toISOString()
    const items = Object.entries(facts).map(([fact, value]) => ({
      ...{ plugin, fact, value, observedAt },
      revision: ++this.#revision,
    }))
    this.send({ type: 'facts', items })
  }

  /** The next frame of a type that matches; rejects where the session ends first. */
  next<T extends ServerFrame['type']>(
    type: T,
    matches: (frame: ServerFrameOf<T>) => boolean = () => true,
  ): Promise<ServerFrameOf<T>> {
    return new Promise((resolve, reject) => {
      const take = (frame: ServerFrame): void => {
        if (frame.type !== type || !matches(frame as ServerFrameOf<T>)) return
        this.off('frame', take)
        resolve(frame as ServerFrameOf<T>)
      }
      this.on('frame', take)
      this.#channel?.ended.then((why) => reject(new Error(`${this.identity.agentId}: ${why}`)))
    })
  }

  /** As if the cable was cut. */
  terminate(): void {
    this.#cut?.abort()
    this.#channel = undefined
  }
}

/** The first word of a simulated agent. */
export function hello(): AgentFrame {
  return {
    type: 'hello',
    protocol: limits.protocol,
    agentVersion: '0.0.0-bench',
    bootId: 'boot',
    executors: [],
    attempts: [],
  }
}

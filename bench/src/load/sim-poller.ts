import { createServerClock } from '@fleetupdate/agent/src/clock.ts'
import type { SendHttp } from '@fleetupdate/agent/src/http-request.ts'
import { createSignedHttp, type SignedHttp } from '@fleetupdate/agent/src/signed-http.ts'
import type { WireIdentity } from '@fleetupdate/core/testing'
import type { AgentFrame } from '@fleetupdate/sdk/protocol'
import { hello } from './sim-agent.ts'

const path = '/api/agent/poll'
const timeoutMs = 60_000
const signal = new AbortController().signal

interface PollBody {
  readonly boot?: string
  readonly frames?: readonly { readonly session?: string }[]
}

/**
 * An agent without a machine that asks now and then and does not wait for the answer, so that it holds no connection: a fleet may be larger than
 * the files this machine lets a process have.
 */
export class SimPoller {
  readonly #http: SignedHttp
  #boot = ''
  #session: string | undefined

  constructor(send: SendHttp, url: string, identity: WireIdentity) {
    this.#http = createSignedHttp(send, { url, clock: createServerClock() }, identity)
  }

  /** Greets; resolves when it was welcomed. */
  async join(): Promise<void> {
    const refused = await this.#ask([])
    this.#boot = refused.details?.boot ?? this.#boot
    const { frames } = await this.#accepted([hello()])
    this.#session = frames?.[0]?.session
  }

  /** Sends facts; resolves when the server has them durably. */
  async tell(facts: readonly { plugin: string; fact: string; value: unknown }[]): Promise<void> {
    const observedAt = new Date().toISOString()
    const items = facts.map((fact, index) => ({ ...fact, observedAt, revision: index + 1 }))
    await this.#accepted([{ type: 'facts', items }])
  }

  /** The sign of life of an agent that has nothing to say. */
  async beat(): Promise<void> {
    await this.#accepted([])
  }

  async #accepted(frames: readonly AgentFrame[]): Promise<PollBody> {
    const { status, body } = await this.#ask(frames)
    if (status !== 200) throw new Error(`A poll was refused: ${status} ${JSON.stringify(body)}`)
    return body
  }

  async #ask(frames: readonly AgentFrame[]) {
    const session = this.#session === undefined ? {} : { session: this.#session }
    const body = { boot: this.#boot, wait: 0, ...session, frames }
    const answer = await this.#http.post(path, body, { timeoutMs, signal })
    return { status: answer.status, body: answer.body as PollBody, details: answer.refusal?.details }
  }
}

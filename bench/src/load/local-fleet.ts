import { setInterval as every } from 'node:timers/promises'
import { createHttp } from '@fleetupdate/agent/src/http-request.ts'
import { enrol } from '@fleetupdate/core/testing'
import { limits, type ServerFrame, type ServerFrameOf } from '@fleetupdate/sdk/protocol'
import { eachOf } from './each-of.ts'
import { SimAgent } from './sim-agent.ts'
import { SimPoller } from './sim-poller.ts'

const heartbeatParts = 20
const enrolAtOnce = 64
const tellAtOnce = 200
const churnStepMs = 20

export interface FleetPlace {
  readonly url: string
  readonly psk: string
  /** Number of the first agent. */
  readonly first: number
}

export interface Churn {
  readonly perSecond: number
  readonly seconds: number
  readonly pending: number
}

/** The simulated agents of one process: they enrol, connect, greet and send heartbeats like real ones. Every method can be called from afar. */
export class LocalFleet {
  readonly #agents: SimAgent[] = []
  readonly #place: FleetPlace
  readonly #heartbeat: NodeJS.Timeout
  readonly #closing = new AbortController()
  #pollers: readonly SimPoller[] = []
  #pollProblem: unknown
  #connected = 0
  #turn = 0
  #offers = new Map<SimAgent, ServerFrameOf<'offer'>>()

  constructor(place: FleetPlace) {
    this.#place = place
    // One wheel for all of them, a part of the fleet at each step, as in life.
    this.#heartbeat = setInterval(() => this.#ping(), limits.heartbeatMs / heartbeatParts)
  }

  /** Enrols until there are so many; answers the ids of the first so many. */
  async enrol(count: number): Promise<readonly string[]> {
    const { url, psk, first } = this.#place
    const missing = Array.from({ length: Math.max(0, count - this.#agents.length) }, (_, i) => i)
    const start = this.#agents.length
    await eachOf(missing, enrolAtOnce, async (offset) => {
      const id = `sim-${String(first + start + offset).padStart(5, '0')}`
      this.#agents[start + offset] = new SimAgent(url, await enrol(url, id, { id: 'psk', text: psk }))
    })
    return this.#agents.slice(0, count).map(({ identity }) => identity.agentId)
  }

  /** Connects until so many are connected, `atOnce` under way at a time; resolves when each was welcomed. */
  async connect(count: number, atOnce: number): Promise<void> {
    await this.enrol(count)
    const missing = this.#agents.slice(this.#connected, count)
    await eachOf(missing, atOnce, (agent) => agent.connect())
    this.#connected = Math.max(this.#connected, count)
  }

  disconnect(): void {
    this.#connected = 0
    for (const agent of this.#agents) agent.terminate()
  }

  /** So many others do not connect: they join, tell their facts and from then on ask once in a heartbeat. Resolves when the server has the facts. */
  async poll(count: number): Promise<void> {
    const { url } = this.#place
    await this.enrol(count)
    const send = createHttp(url, this.#closing.signal)
    const pollers = this.#agents.slice(0, count).map(({ identity }) => new SimPoller(send, url, identity))
    await eachOf([...pollers.entries()], enrolAtOnce, async ([index, poller]) => {
      await poller.join()
      await poller.tell([
        { plugin: 'os-updates', fact: 'updates', value: updatesOf(index % 7) },
        { plugin: 'metrics', fact: 'sample', value: sampleOf((index * 7) % 100) },
      ])
    })
    this.#pollers = pollers
  }

  /** Rejects with what went wrong with a poll since the last time. */
  async pollsWentWell(): Promise<void> {
    if (this.#pollProblem !== undefined) throw this.#pollProblem
  }

  /** Each connected agent tells its pending updates, 0 to 6 of them, and its metrics; resolves when the server has all of it durably. */
  async tell(round: number): Promise<void> {
    await eachOf([...this.#online.entries()], tellAtOnce, async ([index, agent]) => {
      await agent.tell('os-updates', { updates: updatesOf((index + round) % 7) })
      await agent.tell('metrics', { sample: sampleOf((index * 7 + round) % 100) })
    })
  }

  /**
   * So many agents a second tell other updates and metrics, as evenly as timers allow. Every other one is one of the first 100, so that what
   * a person has before the eyes changes all the time; the last word of these is `pending` updates. Answers how many spoke.
   */
  async churn({ perSecond, seconds, pending }: Churn): Promise<number> {
    const agents = this.#online
    const inView = Math.min(100, agents.length)
    const wanted = perSecond * seconds
    const began = performance.now()
    let sent = 0
    for await (const _ of every(churnStepMs)) {
      const due = Math.min(wanted, Math.round(((performance.now() - began) / 1000) * perSecond))
      for (; sent < due; sent++) {
        const agent = agents[sent % 2 === 0 ? (sent / 2) % inView : (sent * 7) % agents.length]
        const isLast = sent >= wanted - 2 * inView
        agent?.say('os-updates', { updates: updatesOf(isLast ? pending : sent % pending) })
        agent?.say('metrics', { sample: sampleOf((sent * 3) % 100) })
      }
      if (sent >= wanted) break
    }
    return sent
  }

  /** Takes the next offer of each connected agent and accepts it at once, as a real agent does; answers when the last came, in epoch ms. */
  acceptOffers(): Promise<number> {
    this.#offers.clear()
    const startedAt = new Date().toISOString()
    const agents = this.#online
    return new Promise((resolve) => {
      for (const agent of agents) {
        const take = (frame: ServerFrame): void => {
          if (frame.type !== 'offer') return
          agent.off('frame', take)
          this.#offers.set(agent, frame)
          agent.send({ type: 'accept', commandId: frame.commandId, epoch: frame.epoch, startedAt })
          if (this.#offers.size === agents.length) resolve(performance.timeOrigin + performance.now())
        }
        agent.on('frame', take)
      }
    })
  }

  /** Every accepted command succeeds. */
  succeed(): void {
    const at = new Date().toISOString()
    for (const [agent, { commandId, epoch }] of this.#offers)
      agent.send({
        ...{ type: 'result', commandId, epoch, state: 'succeeded', exitCode: 0 },
        ...{ output: { bytes: 0 }, startedAt: at, finishedAt: at },
      })
    this.#offers.clear()
  }

  close(): void {
    clearInterval(this.#heartbeat)
    this.#closing.abort()
    this.disconnect()
  }

  get #online(): readonly SimAgent[] {
    return this.#agents.slice(0, this.#connected)
  }

  #ping(): void {
    this.#turn = (this.#turn + 1) % heartbeatParts
    for (let i = this.#turn; i < this.#connected; i += heartbeatParts) this.#agents[i]?.send({ type: 'ping' })
    for (let i = this.#turn; i < this.#pollers.length; i += heartbeatParts)
      this.#pollers[i]?.beat().catch((error) => {
        this.#pollProblem = error
      })
  }
}

function updatesOf(count: number): object {
  const pending = Array.from({ length: count }, (_, i) => ({
    ...{ name: `package-${i}`, current: '1.0-1', candidate: '1.0-2', origin: 'Debian-Security' },
    ...{ security: i === 0, held: false, phased: false },
  }))
  return { manager: 'apt', refreshedAt: new Date().toISOString(), pending }
}

function sampleOf(cpu: number): object {
  const gib = 2 ** 30
  return {
    ...{ cpu, cores: 2, load: [cpu / 50, 0.3, 0.2], uptime: 100_000 + cpu },
    memory: { total: 4 * gib, used: gib, available: 3 * gib },
    swap: { total: 0, used: 0 },
    disks: [{ mount: '/', used: 10 * gib, total: 40 * gib }],
    network: { rx: 5_000_000_000 + cpu, tx: 1234 },
  }
}

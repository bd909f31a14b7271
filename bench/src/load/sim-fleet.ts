import { enrol, WireAgent } from '@fleetupdate/core/testing'
import { limits } from '@fleetupdate/sdk/protocol'
import type { Server } from './server.ts'

/** Agents without a machine: they enrol, connect, greet and send heartbeats like real ones. All live in this process. */
export class SimFleet {
  readonly agents: WireAgent[] = []
  #connected = 0
  #turn = 0
  readonly #server: Server
  readonly #heartbeat: NodeJS.Timeout

  constructor(server: Server) {
    this.#server = server
    this.#heartbeat = setInterval(() => this.#ping(), limits.heartbeatMs / heartbeatParts)
  }

  /** Those that are connected. */
  get online(): readonly WireAgent[] {
    return this.agents.slice(0, this.#connected)
  }

  /** Enrols until there are so many. */
  async enrol(count: number): Promise<void> {
    const { url, psk } = this.#server
    const enrolOne = async (index: number): Promise<void> => {
      const identity = await enrol(url, `sim-${String(index).padStart(5, '0')}`, { id: 'psk', text: psk })
      const agent = new WireAgent(url, identity)
      agent.record = false
      this.agents[index] = agent
    }
    const missing = Array.from({ length: Math.max(0, count - this.agents.length) }, (_, i) => i)
    const first = this.agents.length
    await eachOf(missing, 64, (index) => enrolOne(first + index))
  }

  /** Connects until so many are connected; all are sent their upgrade at once where `atOnce` says so. Resolves when each was welcomed. */
  async connect(count: number, atOnce = 100): Promise<void> {
    await this.enrol(count)
    const missing = this.agents.slice(this.#connected, count)
    await eachOf(missing, atOnce, async (agent) => {
      await agent.connect()
    })
    this.#connected = Math.max(this.#connected, count)
  }

  disconnect(): void {
    this.#connected = 0
    for (const agent of this.agents) agent.terminate()
  }

  close(): void {
    clearInterval(this.#heartbeat)
    this.disconnect()
  }

  /** A part of the fleet a second, as in life. */
  #ping(): void {
    this.#turn = (this.#turn + 1) % heartbeatParts
    for (let i = this.#turn; i < this.#connected; i += heartbeatParts) this.agents[i]?.send({ type: 'ping' })
  }
}

const heartbeatParts = 20

/** Runs a function for each value, so many at a time. */
export async function eachOf<T>(
  values: readonly T[],
  atOnce: number,
  run: (value: T) => Promise<void>,
): Promise<void> {
  let next = 0
  const work = async (): Promise<void> => {
    while (next < values.length) await run(values[next++] as T)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, values.length) }, work))
}

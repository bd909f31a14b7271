import { type Child, startEntry } from './child.ts'
import type { Churn, LocalFleet } from './local-fleet.ts'
import type { Server } from './server.ts'

/** So many agents live in one process; a larger fleet is spread over several. */
const perProcess = 10_000
/** Beyond every agent that connects. */
const firstPoller = 90_000

/** The simulated agents of a run, apart from the process that measures. */
export class SimFleet {
  readonly #server: Server
  readonly #children: Child[] = []
  #pollers: Child | undefined
  #connected = 0

  constructor(server: Server) {
    this.#server = server
  }

  /** How many are connected. */
  get online(): number {
    return this.#connected
  }

  /** Enrols until there are so many; answers the ids of the first so many. */
  async enrol(count: number): Promise<readonly string[]> {
    const ids = await this.#share<readonly string[]>(count, 'enrol', (part) => [part])
    return ids.flat()
  }

  /** Connects until so many are connected, `atOnce` under way at a time. */
  async connect(count: number, atOnce = 100): Promise<void> {
    await this.#share(count, 'connect', (part) => [part, atOnce])
    this.#connected = Math.max(this.#connected, count)
  }

  /** So many more are in the fleet without a connection: they poll, with facts. Resolves when the server has these. */
  async poll(count: number): Promise<void> {
    this.#pollers ??= await this.#start(firstPoller)
    await this.#pollers.call('poll', [count])
  }

  /** Rejects where a poll was refused since the last time. */
  async pollsWentWell(): Promise<void> {
    await this.#pollers?.call('pollsWentWell', [])
  }

  async disconnect(): Promise<void> {
    this.#connected = 0
    await this.#all('disconnect')
  }

  /** Facts and metrics of every connected agent, durably. */
  async tell(round = 0): Promise<void> {
    await this.#all('tell', round)
  }

  /** The first process's agents tell news at a rate; answers how many did, see {@link LocalFleet.churn}. */
  async churn(options: Churn): Promise<number> {
    return (await this.#children[0]?.call<number>('churn', [options])) ?? 0
  }

  /** When the last connected agent had its next offer, in epoch ms. All accept at once. */
  async acceptOffers(): Promise<number> {
    return Math.max(...(await this.#all<number>('acceptOffers')))
  }

  async succeed(): Promise<void> {
    await this.#all('succeed')
  }

  async close(): Promise<void> {
    await Promise.all([...this.#children, this.#pollers].map((child) => child?.stop()))
  }

  #all<T>(method: keyof LocalFleet, ...args: readonly unknown[]): Promise<readonly T[]> {
    return Promise.all(this.#children.map((child) => child.call<T>(method, args)))
  }

  async #share<T>(
    count: number,
    method: keyof LocalFleet,
    args: (part: number) => readonly unknown[],
  ): Promise<readonly T[]> {
    for (let first = this.#children.length * perProcess; first < count; first += perProcess)
      this.#children.push(await this.#start(first))
    return Promise.all(
      this.#children.map((child, index) =>
        child.call<T>(method, args(Math.max(0, Math.min(perProcess, count - index * perProcess)))),
      ),
    )
  }

  #start(first: number): Promise<Child> {
    const { url, psk } = this.#server
    return startEntry('sim-child', { FLEET_PLACE: JSON.stringify({ url, psk, first }) })
  }
}

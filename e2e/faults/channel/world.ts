import { createHash } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import type { CommandView } from '@fleetupdate/sdk'
import type { AgentFrame, ServerFrame } from '@fleetupdate/sdk/protocol'
import { type AgentSide, type Machine, startAgentSide } from './agent-side.ts'
import { type AgentSession, type ServerDisk, type ServerSide, startServerSide } from './server-side.ts'
import type { VirtualTime } from './virtual-time.ts'

/** One thing that happens. Numbers are taken modulo what there is, so that every action fits every moment. */
export type Action =
  | { readonly do: 'submit'; readonly lane: boolean; readonly lines: number; readonly hasty: boolean }
  | { readonly do: 'resubmit' | 'cancel' | 'force'; readonly which: number }
  | { readonly do: 'deliver' | 'repeat' | 'drop'; readonly to: 'agent' | 'server'; readonly which: number }
  | { readonly do: 'flush'; readonly to: 'agent' | 'server' }
  | { readonly do: 'connect' | 'disconnect' | 'restart-server' | 'kill-agent' }
  | { readonly do: 'work'; readonly which: number }
  | { readonly do: 'wait'; readonly ms: number }

/** A command as the plain model knows it: what was asked for, nothing of how it is done. */
interface Asked {
  readonly id: string
  readonly key: string
  readonly command: string
  readonly lines: number
  readonly expiresAt: string | undefined
  cancelled: boolean
}

interface Link {
  readonly session: AgentSession
  open: boolean
  welcomed: boolean
}

const agentId = 'vm-1'
const terminal = new Set([
  'succeeded',
  'failed',
  'cancelled',
  'timed_out',
  'interrupted',
  'expired',
  'rejected',
])
const hastySeconds = 45

/** A server and an agent with a channel between them that may do anything to frames. */
export class World {
  readonly #asked: Asked[] = []
  readonly #toAgent: ServerFrame[] = []
  readonly #toServer: AgentFrame[] = []
  #link: Link | undefined
  #instance = 0
  #killed = false
  #lives = 0

  private constructor(
    readonly disk: ServerDisk,
    readonly time: VirtualTime,
    readonly machine: Machine,
    private server: ServerSide,
    private agent: AgentSide,
    private readonly forgetful: boolean,
  ) {}

  /** `forgetful`: the agent loses its journal when it dies, to show that the model notices. */
  static async create(
    disk: ServerDisk,
    time: VirtualTime,
    folder: string,
    { forgetful }: { readonly forgetful: boolean },
  ): Promise<World> {
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder, { recursive: true })
    await forget(disk)
    const { store } = disk
    const row = {
      id: agentId,
      enrolledAt: time.nowMs(),
      generation: 1,
      online: 0,
      onlineChangedAt: 0,
      executors: '[]',
    }
    await store.write([
      store.read
        .insertInto('agents')
        .values({ ...row, apps: '[]', factRevision: 0 } as never)
        .compile(),
    ])
    const machine: Machine = { stateDir: join(folder, 'state'), runners: [], starts: [], endings: new Map() }
    const server = await startServerSide(disk, agentId, 0)
    let world: World | undefined
    const agent = await startAgentSide(
      machine,
      World.#channelOf(() => world),
    )
    world = new World(disk, time, machine, server, agent, forgetful)
    return world
  }

  static #channelOf(world: () => World | undefined) {
    return {
      isOpen() {
        const it = world()
        return it !== undefined && it.#link?.open === true
      },
      send(frame: AgentFrame) {
        const it = world()
        if (it !== undefined && it.#link?.open === true) it.#toServer.push(frame)
      },
    }
  }

  async apply(action: Action): Promise<void> {
    switch (action.do) {
      case 'submit':
        await this.#submit(action)
        break
      case 'resubmit':
        await this.#resubmit(pick(this.#asked, action.which))
        break
      case 'cancel':
      case 'force':
        await this.#cancel(pick(this.#asked, action.which), action.do === 'force' ? 'force' : 'safe-point')
        break
      case 'deliver':
      case 'repeat':
      case 'drop':
        this.#move(action)
        break
      case 'flush':
        await this.#flush(action.to)
        break
      case 'connect':
        await this.#connect()
        break
      case 'disconnect':
        this.#disconnect()
        break
      case 'restart-server':
        await this.#restartServer()
        break
      case 'kill-agent':
        await this.#killAgent()
        break
      case 'work':
        await pick(this.machine.runners, action.which)?.step()
        break
      case 'wait':
        await this.time.advance(action.ms, () => this.settle())
    }
    await this.settle()
    this.#checkLane()
  }

  /** From now on the channel is good and everybody works: all must end, as the promises say. */
  async heal(): Promise<void> {
    const giveUpMs = this.time.nowMs() + 240_000
    for (let beat = 0; this.time.nowMs() < giveUpMs; beat++) {
      if (!this.#link?.open) await this.#connect()
      if (beat % 20 === 0) this.#toServer.push({ type: 'ping' })
      await this.#flush('server')
      await this.#flush('agent')
      for (const runner of this.machine.runners) await runner.step()
      await this.settle()
      const views = await this.#views()
      if (views.every(({ state }) => terminal.has(state)) && this.#pending() === 0) return
      await this.time.advance(500, () => this.settle())
      this.#checkLane()
    }
    const views = await this.#views()
    throw new Error(`Still not ended after 240 s of a good channel: ${JSON.stringify(views)}`)
  }

  /** Compares what the server says with what really happened. */
  async check(): Promise<void> {
    for (const asked of this.#asked) {
      const view = await this.server.queue.read(asked.id)
      if (!view) throw new Error(`G1: ${asked.id} was accepted and is not known.`)
      const starts = this.machine.starts.filter((id) => id === asked.id).length
      if (starts > 1) throw new Error(`G3: ${asked.id} started ${starts} times.`)
      const ending = this.machine.endings.get(asked.id)
      if (ending && view.state !== ending.state)
        throw new Error(
          `G5: ${asked.id} really ${ending.state}, the server says ${view.state} (${view.reason}).`,
        )
      if (!ending) this.#checkNotRun(asked, view)
      else this.#checkOutput(asked, view, ending.text)
      await this.#resubmit(asked)
    }
  }

  async close(): Promise<void> {
    this.#disconnect()
    await this.agent.kill()
    await this.server.stop()
    await this.settle()
  }

  /** Waits until nobody has anything to do any more at this moment. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 3; ) {
      await turn()
      const isBusy = this.disk.writing() > 0 || process.getActiveResourcesInfo().includes('FSReqPromise')
      quiet = isBusy ? 0 : quiet + 1
    }
  }

  async #submit({ lane, lines, hasty }: Action & { do: 'submit' }): Promise<void> {
    const key = `key-${this.#asked.length}`
    const command = lane ? 'model.serial' : 'model.free'
    const expiresAt = hasty ? new Date(this.time.nowMs() + hastySeconds * 1000).toISOString() : undefined
    const asked = { key, command, lines, expiresAt, cancelled: false }
    this.#asked.push({ ...asked, id: (await this.#ask(asked)).id })
  }

  async #resubmit(asked: Asked | undefined): Promise<void> {
    if (!asked) return
    const { id } = await this.#ask(asked)
    if (id !== asked.id) throw new Error(`G2: the same key made ${asked.id} and then ${id}.`)
  }

  #ask({ key, command, lines, expiresAt }: Omit<Asked, 'id'>): Promise<CommandView> {
    const options = { idempotencyKey: key, ...(expiresAt === undefined ? {} : { expiresAt }) }
    return this.server.queue.submit({ type: 'user', id: 'ada' }, agentId, command, { lines }, options)
  }

  async #cancel(asked: Asked | undefined, manner: 'safe-point' | 'force'): Promise<void> {
    if (!asked) return
    try {
      await this.server.queue.cancel(asked.id, { by: 'ada', manner })
      asked.cancelled = true
    } catch (error) {
      if (!String(error).includes('already ended')) throw error
    }
  }

  #move(action: Action & { do: 'deliver' | 'repeat' | 'drop' }): void {
    const queue: unknown[] = action.to === 'agent' ? this.#toAgent : this.#toServer
    if (queue.length === 0) return
    const at = action.which % queue.length
    const frame = action.do === 'repeat' ? queue[at] : queue.splice(at, 1)[0]
    if (action.do !== 'drop') this.#hand(action.to, frame)
  }

  async #flush(to: 'agent' | 'server'): Promise<void> {
    const queue: unknown[] = to === 'agent' ? this.#toAgent : this.#toServer
    for (const frame of queue.splice(0)) this.#hand(to, frame)
    await this.settle()
  }

  #hand(to: 'agent' | 'server', frame: unknown): void {
    const link = this.#link
    if (!link?.open) return
    if (to === 'agent') this.agent.receive(copy<ServerFrame>(frame))
    else if (link.welcomed) this.server.receive(link.session, copy<AgentFrame>(frame))
  }

  async #connect(): Promise<void> {
    this.#disconnect()
    const link: Link = {
      open: true,
      welcomed: false,
      session: {
        agentId,
        generation: 1,
        kid: 'k1',
        isNextKey: false,
        address: '',
        bootId: '',
        waiting: undefined,
        epoch: 0,
        lastHeardMs: this.time.nowMs(),
        inbox: [],
        draining: undefined,
        send: (frame) => {
          if (this.#link === link && link.open) this.#toAgent.push(copy<ServerFrame>(frame))
        },
        close: () => {
          link.open = false
        },
      },
    }
    this.#link = link
    link.welcomed = await this.server.open(link.session, this.agent.hello())
    if (link.welcomed) this.agent.opened(new Date(this.time.nowMs()).toISOString())
    else link.open = false
  }

  /** Frames on their way stay: they may still be repeated into a later session. */
  #disconnect(): void {
    if (this.#link) this.#link.open = false
  }

  async #restartServer(): Promise<void> {
    this.#disconnect()
    await this.server.stop()
    await this.settle()
    this.server = await startServerSide(this.disk, agentId, ++this.#instance)
  }

  async #killAgent(): Promise<void> {
    this.#killed = true
    this.#disconnect()
    await this.agent.kill()
    await this.settle()
    // Its runners still write where they began.
    const stateDir = this.forgetful ? `${this.machine.stateDir}-${++this.#lives}` : this.machine.stateDir
    this.agent = await startAgentSide(
      { ...this.machine, stateDir },
      World.#channelOf(() => this),
    )
  }

  #checkNotRun(asked: Asked, { state, reason }: CommandView): void {
    const allowed = [
      ...(asked.cancelled ? ['cancelled'] : []),
      ...(asked.expiresAt === undefined ? [] : ['expired']),
      ...(this.#killed ? ['interrupted'] : []),
    ]
    const ran = this.machine.starts.includes(asked.id)
    if (ran || !allowed.includes(state))
      throw new Error(
        `G7: ${asked.id} ${ran ? 'is at work' : 'never ran'}, the server says ${state} (${reason}).`,
      )
  }

  #checkOutput(asked: Asked, view: CommandView, text: string): void {
    const stored = this.disk.output.get(asked.id)?.text ?? ''
    if (stored !== text)
      throw new Error(
        `G6: of ${asked.id} is stored ${JSON.stringify(stored)}, written was ${JSON.stringify(text)}.`,
      )
    const hash = createHash('sha256').update(text).digest('hex')
    if (view.output?.sha256 !== hash)
      throw new Error(`G6: the hash of ${asked.id} is not that of its output.`)
  }

  /** G8: of one lane, one at a time, in the order of submission. */
  #checkLane(): void {
    const lane = this.#asked.filter(({ command }) => command === 'model.serial').map(({ id }) => id)
    const started = this.machine.starts.filter((id) => lane.includes(id))
    const running = started.filter((id) => !this.machine.endings.has(id))
    if (running.length > 1) throw new Error(`G8: ${running.join(' and ')} run at once.`)
    const order = started.map((id) => lane.indexOf(id))
    if (order.some((place, i) => i > 0 && place < (order[i - 1] ?? 0)))
      throw new Error(`G8: started in the order ${order}.`)
  }

  async #views(): Promise<CommandView[]> {
    const views = await Promise.all(this.#asked.map(({ id }) => this.server.queue.read(id)))
    return views.filter((view) => view !== undefined)
  }

  /** Attempts whose results the agent still keeps. */
  #pending(): number {
    const hello = this.agent.hello()
    return hello.type === 'hello' ? hello.attempts.length : 0
  }
}

async function forget({ store, output }: ServerDisk): Promise<void> {
  output.clear()
  const { read } = store
  const tables = ['commands', 'idempotency_keys', 'agent_sessions', 'agents'] as const
  await store.write(tables.map((table) => read.deleteFrom(table).compile()))
}

function pick<T>(values: readonly T[], which: number): T | undefined {
  return values[which % Math.max(1, values.length)]
}

function copy<T>(frame: unknown): T {
  return JSON.parse(JSON.stringify(frame)) as T
}

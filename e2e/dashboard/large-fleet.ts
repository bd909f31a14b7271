import { setInterval as every } from 'node:timers/promises'
import { enrol, WireAgent } from '@fleetupdate/core/testing'
import { limits } from '@fleetupdate/sdk/protocol'
import type { TestFleet } from '@fleetupdate/sdk/testing'
import { updatesFacts } from './wire-hosts.ts'

export interface LargeFleet {
  /** Ids in the order of the list. */
  readonly ids: readonly string[]
  /**
   * Sends so many updates a second, as evenly as timers allow. Every other one is of one of the first 100 agents, so that what a person
   * has before the eyes changes all the time; the last of each of these says `packages` packages. Resolves with the number sent.
   */
  burst(options: {
    readonly perSecond: number
    readonly seconds: number
    readonly packages: number
  }): Promise<number>
  close(): void
}

const atOnce = 64
const inView = 100
const stepMs = 20
const heartbeatParts = 20

/** Simulated agents, online and with facts: `size` of them, or as many as enrol in `budgetMs`. All live in this process, each on a socket of its own. */
export async function startLargeFleet(
  fleet: TestFleet,
  options: { readonly size: number; readonly budgetMs: number },
): Promise<LargeFleet> {
  const agents: WireAgent[] = []
  const revisions: number[] = []
  const executors = await executorsOf(fleet)
  const deadline = performance.now() + options.budgetMs
  let next = 0

  const tell = (index: number, packages: number, security: number): void => {
    const names = Array.from({ length: packages }, (_, i) => `package-${i}`)
    const observedAt = new Date().toISOString()
    const item = (plugin: string, fact: string, value: unknown) => {
      const revision = (revisions[index] ?? 0) + 1
      revisions[index] = revision
      return { plugin, fact, value, observedAt, revision }
    }
    const updates = Object.entries(updatesFacts(names, names.slice(0, security)))
    agents[index]?.send({
      type: 'facts',
      items: [
        ...updates.map(([fact, value]) => item('os-updates', fact, value)),
        item('metrics', 'sample', sampleOf((index * 7 + packages * 3) % 100)),
      ],
    })
  }
  const startOne = async (index: number): Promise<void> => {
    const identity = await enrol(fleet.url, idOf(index), { id: 'psk', text: 'a-secret-for-tests-0123456789' })
    const agent = new WireAgent(fleet.url, identity)
    agent.record = false
    agents[index] = agent
    await agent.connect({ executors })
    tell(index, index % 4, index % 8 === 7 ? 1 : 0)
  }
  const work = async (): Promise<void> => {
    while (next < options.size && performance.now() < deadline) await startOne(next++)
  }
  let turn = 0
  const heartbeat = setInterval(() => {
    turn = (turn + 1) % heartbeatParts
    for (let i = turn; i < agents.length; i += heartbeatParts) agents[i]?.send({ type: 'ping' })
  }, limits.heartbeatMs / heartbeatParts)
  const close = (): void => {
    clearInterval(heartbeat)
    for (const agent of agents) agent?.terminate()
  }
  try {
    await Promise.all(Array.from({ length: atOnce }, work))
    await agents.at(-1)?.settle()
  } catch (error) {
    close()
    throw error
  }

  return {
    ids: agents.map((_, index) => idOf(index)),
    async burst({ perSecond, seconds, packages }) {
      const began = performance.now()
      const wanted = perSecond * seconds
      let sent = 0
      for await (const _ of every(stepMs)) {
        const due = Math.min(wanted, Math.round(((performance.now() - began) / 1000) * perSecond))
        for (; sent < due; sent++) {
          const index =
            sent % 2 === 0 ? (sent / 2) % Math.min(inView, agents.length) : (sent * 7) % agents.length
          const isLast = sent >= wanted - 2 * inView
          tell(index, isLast ? packages : (sent * 3) % packages, 0)
        }
        if (sent >= wanted) break
      }
      return sent
    },
    close,
  }
}

function idOf(index: number): string {
  return `sim-${String(index).padStart(5, '0')}`
}

function sampleOf(cpu: number) {
  const gibibyte = 2 ** 30
  return {
    cpu,
    cores: 4,
    load: [0.5, 0.4, 0.3],
    memory: { total: 8 * gibibyte, used: 3 * gibibyte, available: 4 * gibibyte },
    swap: { total: gibibyte, used: 0 },
    disks: [{ mount: '/', used: 20 * gibibyte, total: 40 * gibibyte }],
    network: { rx: 20_000, tx: 10_000 },
    uptime: 86_400,
  }
}

async function executorsOf({ client }: TestFleet) {
  const { body } = await client.request<{ items: { id: string; hash?: string }[] }>('GET', '/api/plugins')
  return body.items.map(({ id, hash = '' }) => ({
    id,
    version: '0.1.0',
    contractHash: hash,
    health: 'ok' as const,
  }))
}

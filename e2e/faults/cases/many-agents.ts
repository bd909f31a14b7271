import { setMaxListeners } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { enrol, WireAgent } from '@fleetupdate/core/testing'
import type { Fault, Lab } from '../fault.ts'
import { quantile, seconds } from '../figures.ts'
import { startRig } from '../rig.ts'

/** Agents on the wire, without executors, that come back as real ones do. */
export const manyAgents: Fault = {
  name: 'many-agents',
  title: '1,000 simulated agents reconnect after the server was killed',
  required: 'all back ≤ 30 s, API p99 ≤ 500 ms, loop p99 ≤ 100 ms (seen from outside as GET /api/health)',
  async run(lab) {
    const count = lab.scale({ smoke: 150, full: 1000 })
    const rig = await startRig(lab)
    const ids = Array.from({ length: count }, (_, i) => `sim-${i}`)
    const agents: WireAgent[] = []
    for (const id of ids) {
      const secret = { id: 'psk', text: 'a-secret-for-tests-0123456789' }
      const agent = new WireAgent(rig.url, await enrol(rig.url, id, secret))
      agent.record = false
      agents.push(agent)
    }
    const ending = new AbortController()
    // Each agent waits on it.
    setMaxListeners(0, ending.signal)
    lab.onEnd(() => {
      ending.abort()
      for (const agent of agents) agent.terminate()
    })
    for (const agent of agents) void live(agent, lab, ending.signal)
    await allOnline(rig.client, count)
    await rig.fleet.server.kill('SIGKILL')
    await rig.fleet.server.restart()
    const readyMs = performance.now()
    const api: number[] = []
    const loop: number[] = []
    const asking = new AbortController()
    const measured = Promise.all([
      measure(api, () => rig.client.request('GET', '/api/agents?limit=50'), asking.signal),
      measure(loop, () => rig.client.request('GET', '/api/health'), asking.signal),
    ])
    await allOnline(rig.client, count)
    const backMs = performance.now() - readyMs
    asking.abort()
    await measured
    const apiP99 = quantile(api, 0.99)
    const loopP99 = quantile(loop, 0.99)
    return {
      passed: backMs <= 30_000 && apiP99 <= 500 && loopP99 <= 100,
      reached: `${count} agents back after ${seconds(backMs)}; API p99 ${apiP99.toFixed(0)} ms, loop p99 at most ${loopP99.toFixed(0)} ms (${api.length} and ${loop.length} answers; agents and server share the machine)`,
    }
  },
}

/** Connects again after each loss, with the back-off of the protocol. */
async function live(agent: WireAgent, { random }: Lab, signal: AbortSignal): Promise<void> {
  for (let failures = 1; !signal.aborted; failures++) {
    const closed = agent.closed()
    try {
      await agent.connect()
      failures = 0
      await closed
    } catch {
      agent.terminate()
    }
    await pause(random.next() * Math.min(60_000, 500 * 2 ** Math.max(1, failures)), undefined, {
      signal,
    }).catch(() => undefined)
  }
}

interface Client {
  request<T>(method: string, path: string): Promise<{ readonly body: T }>
  until<T>(what: string, ask: () => Promise<T | undefined | false>, timeoutMs?: number): Promise<T>
}

async function allOnline(client: Client, count: number): Promise<void> {
  await client.until(
    'all simulated agents to be online',
    async () => {
      const path = '/api/agents?filter=offline&limit=1'
      const { body } = await client.request<{ counts: Record<string, number> }>('GET', path)
      return (body.counts.all ?? 0) === count && (body.counts.offline ?? count) === 0
    },
    90_000,
  )
}

async function measure(into: number[], ask: () => Promise<unknown>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const askedMs = performance.now()
    await ask()
    into.push(performance.now() - askedMs)
    await pause(20)
  }
}

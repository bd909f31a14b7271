import { enrol, WireAgent } from '@fleetupdate/core/testing'
import type { AgentFrame, ServerFrame } from '@fleetupdate/sdk/protocol'
import type { TestFleet } from '@fleetupdate/sdk/testing'

type Offer = Extract<ServerFrame, { type: 'offer' }>

/** What a simulated host does with a command: writes, reports progress, and says how it ended. */
export interface Attempt {
  readonly offer: Offer
  write(text: string): void
  progress(percent: number, message: string): void
  /** Resolves when the server asks to cancel. */
  readonly cancelled: Promise<void>
}

export interface Outcome {
  readonly state: 'succeeded' | 'failed' | 'cancelled'
  readonly reason?: string
  readonly result?: unknown
}

export interface WireHost {
  readonly agent: WireAgent
  /** Sends facts of a plugin, observed now or at `observedAt`; values may be anything. */
  tell(plugin: string, facts: Readonly<Record<string, unknown>>, observedAt?: string): void
  /** Comes back as another version of the agent. */
  rejoin(agentVersion: string): Promise<void>
}

const connected = new Set<WireAgent>()

/** Ends the connections of all simulated hosts, as if their cables were cut. */
export function hangUp(): void {
  for (const agent of connected) agent.terminate()
  connected.clear()
}

/** A host that speaks the agent protocol over a real socket, and answers commands as the test wants. */
export async function wireHost(
  fleet: TestFleet,
  id: string,
  run: (attempt: Attempt) => Promise<Outcome> = async () => ({ state: 'succeeded' }),
  hello: { readonly agentVersion?: string } = {},
): Promise<WireHost> {
  const identity = await enrol(fleet.url, id, { id: 'psk', text: 'a-secret-for-tests-0123456789' })
  const agent = new WireAgent(fleet.url, identity)
  agent.record = false
  connected.add(agent)
  const { body } = await fleet.client.request<{ items: { id: string; hash?: string }[] }>(
    'GET',
    '/api/plugins',
  )
  const executors = body.items.map((plugin) => ({
    id: plugin.id,
    version: '0.1.0',
    contractHash: plugin.hash ?? '',
    health: 'ok' as const,
  }))
  const cancels = new Map<string, () => void>()
  let revision = 0
  agent.on('frame', (frame) => {
    if (frame.type === 'ping') agent.send({ type: 'pong' })
    if (frame.type === 'cancel') cancels.get(frame.commandId)?.()
    if (frame.type === 'offer' && !cancels.has(frame.commandId)) void answer(frame)
  })
  await agent.join({ executors, ...hello })

  async function answer(offer: Offer): Promise<void> {
    const name = { commandId: offer.commandId, epoch: offer.epoch }
    const startedAt = new Date().toISOString()
    const cancelled = new Promise<void>((resolve) => cancels.set(offer.commandId, resolve))
    let bytes = 0
    const write = (text: string): void => {
      const end = bytes + Buffer.byteLength(text)
      agent.send({ type: 'output', ...name, offset: bytes, end, text })
      bytes = end
    }
    agent.send({ type: 'accept', ...name, startedAt })
    write(`$ ${offer.plugin}.${offer.command}\n`)
    const outcome = await run({
      offer,
      write,
      cancelled,
      progress: (percent, message) => agent.send({ type: 'progress', ...name, percent, message }),
    })
    const result: AgentFrame = {
      type: 'result',
      ...name,
      ...outcome,
      output: { bytes },
      startedAt,
      finishedAt: new Date().toISOString(),
    }
    agent.send(result)
  }

  return {
    agent,
    async rejoin(agentVersion) {
      agent.close()
      await agent.closed()
      await agent.join({ executors, agentVersion })
    },
    tell(plugin, facts, observedAt = new Date().toISOString()) {
      agent.send({
        type: 'facts',
        items: Object.entries(facts).map(([fact, value]) => ({
          plugin,
          fact,
          value,
          observedAt,
          revision: ++revision,
        })),
      })
    },
  }
}

/** Facts of `os-updates` for a host with these pending packages. */
export function updatesFacts(
  names: readonly string[],
  security: readonly string[] = [],
): Record<string, unknown> {
  return {
    updates: {
      manager: 'apt',
      refreshedAt: new Date().toISOString(),
      pending: names.map((name) => ({
        name,
        current: '1.0-1',
        candidate: '2.0-1',
        origin: security.includes(name) ? 'Debian-Security' : 'Debian',
        security: security.includes(name),
        held: false,
        phased: false,
      })),
    },
    system: {
      os: 'Debian GNU/Linux 12 (bookworm)',
      kernel: '6.1.0-25-amd64',
      arch: 'x86_64',
      hostname: 'host',
      bootedAt: '2026-01-01T00:00:00.000Z',
      rebootRequired: security.length > 0,
    },
  }
}

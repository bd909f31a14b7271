import type { GatewayAgent, GatewaySession } from '@fleetupdate/sdk'
import { type AgentFrame, type FactItem, limits, type ServerFrame } from '@fleetupdate/sdk/protocol'
import { fleetError } from '../errors.ts'
import type { EventBus } from '../events/bus.ts'
import type { Store } from '../store/store.ts'
import type { Facts } from './facts.ts'
import type { FleetIndex } from './fleet-index.ts'
import type { CommandFrames } from './gateway/inbound.ts'
import type { Presence } from './presence.ts'
import type { AgentSession } from './session.ts'

export interface ExternalOptions {
  readonly store: Store
  readonly index: FleetIndex
  readonly presence: Presence
  readonly facts: Facts
  readonly bus: EventBus
  readonly frames: Pick<CommandFrames, 'hello'>
  /** Takes what the agent says about commands, in order. */
  receive(session: AgentSession, frames: readonly AgentFrame[]): Promise<void>
  readonly now: () => number
}

/**
 * Lets a plugin speak for an agent of another protocol: it is listed, online while the plugin holds the session and has said something in
 * the last 60 s, and takes commands where the plugin brings them. Facts are named `<plugin>.<fact>`. An id with a key of its own can't be spoken for.
 */
export function createExternal(options: ExternalOptions) {
  const { store, index, presence, facts, bus, frames, now } = options
  const list = async (agentId: string): Promise<void> => {
    if (index.get(agentId)?.generation === 0) return
    const nowMs = now()
    const { sql, parameters } = store.read
      .insertInto('agents')
      .values({
        id: agentId,
        enrolledAt: nowMs,
        generation: 0,
        revokedAt: null,
        removedAt: null,
        online: 0,
        onlineChangedAt: nowMs,
        lastSeenAt: null,
        agentVersion: null,
        bootId: null,
        executors: '[]',
        apps: '[]',
        factRevision: 0,
      })
      .onConflict((conflict) => conflict.doNothing())
      .compile()
    await store.write([{ sql, parameters, expectedRows: 1 }]).catch(() => {
      throw fleetError('FLT_ENROL_ID_TAKEN', { id: agentId })
    })
    index.put({
      id: agentId,
      generation: 0,
      enrolledAt: nowMs,
      revoked: false,
      quarantine: undefined,
      online: false,
      lastSeenMs: null,
      facets: {},
    })
    bus.emit('agent.enrolled', { agentId })
  }

  return async (agentId: string, agent: GatewayAgent = {}): Promise<GatewaySession> => {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(agentId))
      throw fleetError('FLT_HTTP_INVALID', { problem: `"${agentId.slice(0, 64)}" is no agent id` })
    await list(agentId)
    const session: AgentSession = {
      agentId,
      generation: 0,
      kid: '',
      isNextKey: false,
      address: '',
      bootId: '',
      waiting: undefined,
      epoch: 0,
      lastHeardMs: now(),
      inbox: [] as AgentFrame[],
      draining: undefined,
      takesCommands: agent.onOffer !== undefined,
      send: (frame) => offer(agent, frame),
      close: () => presence.end(session),
    }
    const hello = {
      type: 'hello',
      protocol: limits.protocol,
      agentVersion: (agent.agentVersion ?? '').slice(0, 64),
      bootId: '',
    } as const
    const attempts = [...(agent.attempts ?? [])]
    await presence.begin(session, { ...hello, executors: [], attempts })
    frames.hello(session, { ...hello, executors: [], attempts })
    const say = (frame: AgentFrame): Promise<void> => {
      presence.heard(session)
      return options.receive(session, [frame])
    }
    let work: Promise<unknown> = Promise.resolve()
    return {
      agentId,
      heard: () => presence.heard(session),
      accept: (attempt) => say({ type: 'accept', ...attempt }),
      reject: (offered, reason) =>
        say({ type: 'reject', ...identify(offered), kind: 'unavailable', reason: reason.slice(0, 4000) }),
      async output(attempt, offset, text) {
        let at = offset
        for (const piece of pieces(text)) {
          const end = at + Buffer.byteLength(piece)
          await say({ type: 'output', ...identify(attempt), offset: at, end, text: piece })
          at = end
        }
      },
      result({ outputBytes, ...result }) {
        const finishedAt = new Date(now()).toISOString()
        return say({ type: 'result', ...result, finishedAt, output: { bytes: outputBytes } })
      },
      facts(items) {
        presence.heard(session)
        const qualified = items.map((item): FactItem => {
          const dot = item.fact.indexOf('.')
          return { ...item, plugin: item.fact.slice(0, Math.max(0, dot)), fact: item.fact.slice(dot + 1) }
        })
        const stored = work.then(() => facts.receive(agentId, qualified))
        work = stored.catch(() => undefined)
        return stored.then(() => undefined)
      },
      close: () => presence.end(session),
    }
  }
}

function offer(agent: GatewayAgent, frame: ServerFrame): void {
  if (frame.type !== 'offer') return
  const { commandId, epoch, plugin, command, input, timeoutSeconds, notAfter } = frame
  agent.onOffer?.({ commandId, epoch, command: `${plugin}.${command}`, input, timeoutSeconds, notAfter })
}

function identify({ commandId, epoch }: { readonly commandId: string; readonly epoch: number }) {
  return { commandId, epoch }
}

/** Parts that fit a frame, none of which splits a character. */
function pieces(text: string): readonly string[] {
  return text.match(/[\s\S]{1,16000}(?![\udc00-\udfff])/g) ?? []
}

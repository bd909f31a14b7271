import type { Log } from '@fleetupdate/sdk'
import { type AgentFrame, type AgentFrameOf, limits } from '@fleetupdate/sdk/protocol'
import type { Store } from '../../store/store.ts'
import type { Facts } from '../facts.ts'
import type { Presence } from '../presence.ts'
import type { AgentSession } from '../session.ts'

export type OutputFrame = AgentFrameOf<'output'>
export type CommandFrame = AgentFrameOf<'accept' | 'reject' | 'progress' | 'result'>

/** Where the frames about commands go; the commands' room implements it. */
export interface CommandFrames {
  /** The agent is connected and has told which attempts it knows. */
  hello(session: AgentSession, hello: AgentFrameOf<'hello'>): void
  handle(session: AgentSession, frame: CommandFrame): Promise<void> | void
  /** All output frames of one tick together. */
  output(session: AgentSession, frames: readonly OutputFrame[]): Promise<void>
}

/** Takes checked frames of a session to whom they concern, strictly one after the other. */
export interface Inbound {
  /** Stores the session as the live one and lets the queue work for it; false where it was not to be. */
  hello(session: AgentSession, frame: AgentFrameOf<'hello'>): Promise<boolean>
  /** Resolves when these frames were handled; what fails is logged and not acknowledged, so that the agent says it again. */
  receive(session: AgentSession, frames: readonly AgentFrame[]): Promise<void>
  factRevision(agentId: string): Promise<number>
}

export interface InboundOptions {
  readonly store: Store
  readonly presence: Presence
  readonly facts: Facts
  readonly commands: CommandFrames
  readonly log: Log
}

export function createInbound({ store, presence, facts, commands, log }: InboundOptions): Inbound {
  const handle = async (session: AgentSession, frame: AgentFrame): Promise<void> => {
    switch (frame.type) {
      case 'facts': {
        const revision = await facts.receive(session.agentId, frame.items)
        session.send({ type: 'ack', facts: revision })
        return
      }
      case 'executors':
        return presence.executorsChanged(session, frame.executors)
      case 'accept':
      case 'reject':
      case 'progress':
      case 'result':
        return commands.handle(session, frame)
      default:
    }
  }

  const drain = async (session: AgentSession): Promise<void> => {
    // What arrives in the same turn is handled together.
    await Promise.resolve()
    while (session.inbox.length > 0) {
      const frames = session.inbox.splice(0)
      for (let i = 0; i < frames.length; i++) {
        if (!presence.isLive(session)) break
        const output = outputsAt(frames, i)
        const frame = frames[i]
        const handled = output.length > 0 ? commands.output(session, output) : frame && handle(session, frame)
        const done = Promise.resolve(handled).catch((error: unknown) =>
          log.error('A frame could not be handled; the agent will send it again', {
            agentId: session.agentId,
            type: frame?.type,
            error: String(error),
          }),
        )
        // Nothing answers an accept, and memory has it at once: what follows need not wait until it is on the disk.
        if (frame?.type !== 'accept') await done
        i += Math.max(0, output.length - 1)
      }
    }
    session.draining = undefined
  }

  return {
    async hello(session, frame) {
      if (frame.protocol < limits.protocol) {
        log.warn('An agent speaks an older protocol. Update it.', {
          agentId: session.agentId,
          protocol: frame.protocol,
        })
      }
      if (!(await presence.begin(session, frame))) return false
      commands.hello(session, frame)
      return true
    },
    receive(session, frames) {
      session.inbox.push(...frames)
      session.draining ??= drain(session)
      return session.draining
    },
    async factRevision(agentId) {
      const row = await store.read
        .selectFrom('agents')
        .select('factRevision')
        .where('id', '=', agentId)
        .executeTakeFirst()
      return row?.factRevision ?? 0
    },
  }
}

/** The run of output frames that starts here. */
function outputsAt(frames: readonly AgentFrame[], from: number): OutputFrame[] {
  const outputs: OutputFrame[] = []
  for (let i = from; i < frames.length; i++) {
    const frame = frames[i]
    if (frame?.type !== 'output') break
    outputs.push(frame)
  }
  return outputs
}

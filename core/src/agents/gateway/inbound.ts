import type { Log } from '@fleetupdate/sdk'
import type { AgentFrame, AgentFrameOf } from '@fleetupdate/sdk/protocol'
import { frameStages } from '../../auth/authorize.ts'
import type { Store } from '../../store/store.ts'
import type { Admission, Admitted } from '../admission.ts'
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

/** Takes checked frames of a session to whom they concern, strictly one after the other; facts in a line of their own, because plugins may take their time with them. */
export interface Inbound {
  hello(session: AgentSession, frame: AgentFrameOf<'hello'>): Promise<Admitted>
  /** The agent confirmed its ticket. */
  ticket(session: AgentSession, frame: AgentFrameOf<'ticket'>): Promise<Admitted>
  /** Resolves when these frames were handled; what fails is logged and not acknowledged, so that the agent says it again. */
  receive(session: AgentSession, frames: readonly AgentFrame[]): Promise<void>
  factRevision(agentId: string): Promise<number>
}

export interface InboundOptions {
  readonly store: Store
  readonly presence: Presence
  readonly facts: Facts
  readonly commands: CommandFrames
  readonly admission: Admission
  readonly rekey: (session: AgentSession, frame: AgentFrameOf<'rekey'>) => Promise<void>
  readonly log: Log
}

export function createInbound(options: InboundOptions): Inbound {
  const { store, presence, facts, commands, admission, log } = options
  const handle = async (session: AgentSession, frame: AgentFrame): Promise<void> => {
    switch (frame.type) {
      case 'executors':
        return presence.executorsChanged(session, frame.executors)
      case 'accept':
      case 'reject':
      case 'progress':
      case 'result':
        return commands.handle(session, frame)
      case 'rekey':
        return options.rekey(session, frame)
      default:
    }
  }

  const tell = async (session: AgentSession, { items }: AgentFrameOf<'facts'>): Promise<void> => {
    if (!presence.isLive(session)) return
    session.send({ type: 'ack', facts: await facts.receive(session.agentId, items) })
  }
  const attempt = async <T extends AgentFrame | undefined>(
    session: AgentSession,
    frame: T,
    run: (session: AgentSession, frame: T) => Promise<void> | void | undefined,
  ): Promise<void> => {
    try {
      await run(session, frame)
    } catch (error) {
      log.error('A frame could not be handled; the agent will send it again', {
        agentId: session.agentId,
        type: frame?.type,
        error: String(error),
      })
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
        if (frame && !frameStages[frame.type].includes('live')) continue
        if (frame?.type === 'facts') {
          session.telling = (session.telling ?? Promise.resolve()).then(() => attempt(session, frame, tell))
          continue
        }
        await attempt(session, frame, () =>
          output.length > 0 ? commands.output(session, output) : frame && handle(session, frame),
        )
        i += Math.max(0, output.length - 1)
      }
    }
    session.draining = undefined
  }

  return {
    hello: (session, frame) => admission.hello(session, frame),
    ticket: (session, frame) => admission.ticket(session, frame),
    receive(session, frames) {
      session.inbox.push(...frames)
      session.draining ??= drain(session)
      if (!frames.some(({ type }) => type === 'facts')) return session.draining
      return session.draining.then(() => session.telling)
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

import { FleetError, type Log } from '@fleetupdate/sdk'
import { type AgentFrameOf, limits } from '@fleetupdate/sdk/protocol'
import type { WriteStatement } from '../store/store.ts'
import type { Presence } from './presence.ts'
import type { Quarantine } from './quarantine.ts'
import { type AgentSession, closeCodes } from './session.ts'
import { noTicket, type Ticket, type Tickets } from './tickets.ts'

/** `waiting`: for the agent to confirm its ticket; nothing else of it counts until then. */
export type Admitted = 'live' | 'waiting' | 'ended'

/** Lets a session become the live one of its agent, once its ticket shows that it is the only copy of its identity. */
export interface Admission {
  hello(session: AgentSession, hello: AgentFrameOf<'hello'>): Promise<Admitted>
  ticket(session: AgentSession, frame: AgentFrameOf<'ticket'>): Promise<Admitted>
}

export interface AdmissionOptions {
  readonly presence: Presence
  readonly tickets: Tickets
  readonly quarantine: Pick<Quarantine, 'put'>
  /** Statements that make the key of this session the only one; part of its beginning. */
  keyUsed(session: AgentSession): readonly WriteStatement[]
  /** The session counts now. */
  live(session: AgentSession, hello: AgentFrameOf<'hello'>): void
  readonly log: Log
}

const sentences = {
  old: 'its state was copied or restored from a snapshot: a newer session ticket of this identity is in use elsewhere',
  strange: 'it shows a session ticket that this server never gave to it',
  missing: 'it has no session ticket, but this identity was given one before',
} as const

export function createAdmission(options: AdmissionOptions): Admission {
  const { presence, tickets, quarantine, log } = options

  const diverged = async (
    session: AgentSession,
    hello: AgentFrameOf<'hello'>,
    kind: keyof typeof sentences,
  ): Promise<Admitted> => {
    const from = `boot ${hello.bootId.slice(0, 36)}${session.address === '' ? '' : ` at ${session.address}`}`
    const live = presence.sessionOf(session.agentId)
    const other = live ? ` Connected at the moment: boot ${live.bootId}${at(live)}.` : ''
    const reason = `A machine (${from}) may be a copy: ${sentences[kind]}.${other}`
    log.warn('An agent is put into quarantine', { agentId: session.agentId, reason })
    await quarantine.put(session.agentId, reason)
    session.close(closeCodes.quarantined, 'This identity is in quarantine.')
    return 'ended'
  }

  const begin = async (
    session: AgentSession,
    hello: AgentFrameOf<'hello'>,
    shown: Ticket,
    next: Ticket,
  ): Promise<Admitted> => {
    try {
      const more = options.keyUsed(session)
      if (!(await presence.begin(session, hello, { shown, next, more }))) return 'ended'
    } catch (error) {
      if (!(error instanceof FleetError) || error.code !== 'FLT_STORE_CONFLICT') throw error
      // Another session was faster; this may be the late word of one that its agent gave up long ago.
      session.close(closeCodes.replaced, 'A newer session took over.')
      return 'ended'
    }
    options.live(session, hello)
    return 'live'
  }

  return {
    async hello(session, hello) {
      if (hello.protocol < limits.protocol)
        log.warn('An agent speaks an older protocol. Update it.', {
          agentId: session.agentId,
          protocol: hello.protocol,
        })
      session.bootId = hello.bootId.slice(0, 36)
      const verdict = await tickets.check(session, hello.ticket)
      if (hello.ticket === undefined) {
        const isFirst = verdict.kind === 'right'
        return isFirst ? begin(session, hello, noTicket, noTicket) : diverged(session, hello, 'missing')
      }
      // An old ticket is judged when its bearer confirms a new one: a hello may come late, long after its agent went on elsewhere.
      const next = tickets.next(session, verdict.shown)
      session.waiting = { hello, verdict, next, isConfirmed: false }
      session.send({ type: 'ticket', ticket: next.text })
      return 'waiting'
    },
    async ticket(session, { ticket }) {
      const { waiting } = session
      if (!waiting) return presence.isLive(session) ? 'live' : 'ended'
      if (ticket !== waiting.next.text) {
        session.close(closeCodes.malformed, 'This is not the ticket that was given.')
        return 'ended'
      }
      waiting.isConfirmed = true
      const { hello, verdict, next } = waiting
      if (verdict.kind !== 'right') return diverged(session, hello, verdict.kind)
      const admitted = await begin(session, hello, verdict.shown, next)
      session.waiting = undefined
      return admitted
    },
  }
}

function at({ address }: AgentSession): string {
  return address === '' ? '' : ` at ${address}`
}

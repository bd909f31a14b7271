import { FleetError } from '@fleetupdate/sdk'
import {
  type AgentFrame,
  type AgentFrameOf,
  limits,
  newNonce,
  type PollRequest,
  type WantedExecutors,
} from '@fleetupdate/sdk/protocol'
import type { AgentSignatures, SignedRequest } from '../../auth/agent-signatures.ts'
import { fleetError } from '../../errors.ts'
import type { AnswerDirectly } from '../../http/direct-routes.ts'
import { retryAfter } from '../../http/error-handler.ts'
import { parseJson } from '../../http/raw-body.ts'
import type { Store } from '../../store/store.ts'
import type { Presence } from '../presence.ts'
import { closeCodes } from '../session.ts'
import { isPollRequest, readFrame } from './frames.ts'
import { useNonce } from './gateway-socket.ts'
import type { HandshakeGate } from './handshake-gate.ts'
import type { Inbound } from './inbound.ts'
import { PollSession } from './poll-session.ts'
import { takeTicket } from './take-ticket.ts'

/** Agents over signed polls, docs/reference/protocol.md section 5. */
export interface PollGateway {
  /** The signed answer of POST /api/agent/poll; throws only where the request's signature is wrong. */
  readonly answer: AnswerDirectly
  dispose(): void
}

export interface PollGatewayOptions {
  readonly store: Store
  readonly signatures: AgentSignatures
  readonly presence: Presence
  readonly inbound: Inbound
  /** The one through which sockets come too, which sweep it. */
  readonly gate: HandshakeGate
  readonly report: (error: unknown) => void
  readonly version: string
  wanted(): WantedExecutors
  /** Names this server process. */
  readonly boot: string
  readonly now: () => number
}

/** An agent's disk may be slow. */
const ticketMs = 15_000

export function createPollGateway(options: PollGatewayOptions): PollGateway {
  const { store, signatures, presence, inbound, gate, report, version, wanted, boot, now } = options
  const sessions = new Map<string, PollSession>()
  const waiting = new Set<PollSession>()
  /** Between hello and the confirmed ticket, and since when; oldest first. */
  const joining = new Map<PollSession, number>()
  const answerStart = `{"boot":${JSON.stringify(boot)},"frames":[`
  const sweep = setInterval(() => {
    for (const session of waiting) {
      if (session.waitsUntilMs > now()) continue
      waiting.delete(session)
      session.wake()
    }
    for (const [session, sinceMs] of joining) {
      if (sinceMs + ticketMs > now()) return
      session.close(closeCodes.silent, 'The ticket was not confirmed in time.')
    }
  }, 250)
  sweep.unref()

  const forget = (session: PollSession): void => {
    sessions.delete(session.session)
    waiting.delete(session)
    joining.delete(session)
    presence.end(session)
  }

  const join = async (
    signed: SignedRequest,
    hello: AgentFrameOf<'hello'>,
    address: string,
  ): Promise<PollSession> => {
    const session = new PollSession(signed.key, address, newNonce(), now(), forget)
    const factRevision = await inbound.factRevision(session.agentId)
    session.send({
      type: 'welcome',
      protocol: limits.protocol,
      serverVersion: version,
      session: session.session,
      time: new Date(now()).toISOString(),
      factRevision,
      wanted: wanted(),
    })
    sessions.set(session.session, session)
    const admitted = await inbound.hello(session, hello)
    if (admitted === 'waiting') joining.set(session, now())
    if (admitted !== 'ended') return session
    sessions.delete(session.session)
    throw ended(session)
  }

  /** The session of a poll: the one it names, or a new one, for which its agent waits at the gate like all that come anew. */
  const enter = async (
    signed: SignedRequest,
    poll: PollRequest,
    frames: AgentFrame[],
    address: string,
  ): Promise<PollSession> => {
    // An empty poll has no effect, so that its nonce need not outlive this process, whose name it carries.
    const hasEffect = frames.some((frame) => frame.type !== 'ping' && frame.type !== 'pong')
    const spend = async (): Promise<void> => {
      if (hasEffect) await useNonce(store, signatures, signed)
    }
    if (poll.session !== undefined) {
      await spend()
      const session = sessions.get(poll.session)
      if (session?.agentId !== signed.key.agentId) throw fleetError('FLT_SESSION_UNKNOWN')
      return session
    }
    const hello = frames.shift()
    return gate.enter(async () => {
      await spend()
      if (hello?.type !== 'hello') throw fleetError('FLT_SESSION_UNKNOWN')
      return join(signed, hello, address)
    })
  }

  const poll = async (signed: SignedRequest, body: unknown, address: string): Promise<string> => {
    if (!isPollRequest(body)) throw fleetError('FLT_HTTP_INVALID', { problem: 'the body is not a poll' })
    if (body.boot !== boot) throw fleetError('FLT_AUTH_BOOT', {}, { details: { boot } })
    const frames = readFrames(body.frames)
    const session = await enter(signed, body, frames, address)
    presence.heard(session)
    if (frames.length > 0) await take(session, frames)
    if (body.wait > 0 && session.isEmpty && session.closed === undefined) {
      waiting.add(session)
      await session.wait(now() + body.wait * 1000)
    }
    if (session.closed !== undefined) throw ended(session)
    return `${answerStart}${session.take()}]}`
  }

  const take = async (session: PollSession, frames: readonly AgentFrame[]): Promise<void> => {
    const effective: AgentFrame[] = []
    for (const frame of frames) {
      if (frame.type === 'ping') session.send({ type: 'pong' })
      else if (frame.type !== 'pong' && frame.type !== 'hello') effective.push(frame)
    }
    if (session.waiting) await wait(session, effective)
    else if (effective.length > 0) await inbound.receive(session, effective)
  }
  /** Nothing counts before the ticket is confirmed; what came is kept until then. */
  const wait = async (session: PollSession, frames: readonly AgentFrame[]): Promise<void> => {
    session.inbox.push(...frames)
    if (session.inbox.length > limits.framesPerPoll * 4)
      return session.close(closeCodes.malformed, 'Confirm the ticket first.')
    const ticket = joining.has(session) ? takeTicket(session) : undefined
    if (!ticket) return
    joining.delete(session)
    const admitted = await gate.proceed(() => inbound.ticket(session, ticket))
    if (admitted === 'live') await inbound.receive(session, [])
    else if (session.closed === undefined) session.close(closeCodes.replaced, 'Another session took over.')
  }

  return {
    async answer(call) {
      const signed = await signatures.verify(call)
      let status = 200
      let body: string
      let seconds: number | undefined
      try {
        if (signed.refusal) throw signed.refusal
        body = await poll(signed, parseJson(call.body), call.address)
      } catch (error) {
        if (!(error instanceof FleetError)) report(error)
        const known = error instanceof FleetError ? error : fleetError('FLT_STORE_BUSY')
        status = known.status
        body = JSON.stringify(known.toJSON())
        seconds = retryAfter(known)
      }
      const signature = signatures.sign(signed, status, Buffer.from(body))
      const headers = seconds === undefined ? signature : { ...signature, 'retry-after': String(seconds) }
      return { status, headers, body }
    },
    dispose() {
      clearInterval(sweep)
      for (const session of [...sessions.values()]) session.close(closeCodes.stopping, 'The server stops.')
    },
  }
}

function readFrames(values: readonly unknown[]): AgentFrame[] {
  const frames: AgentFrame[] = []
  for (const value of values) {
    const read = readFrame(value)
    if (read.kind === 'malformed')
      throw fleetError('FLT_HTTP_INVALID', { problem: 'a frame does not match its schema' })
    if (read.kind === 'frame') frames.push(read.frame)
  }
  return frames
}

function ended(session: PollSession): FleetError {
  if (session.closed === closeCodes.revoked) return fleetError('FLT_AGENT_REVOKED')
  // Why it is in quarantine, the answer to its next request says.
  return fleetError('FLT_SESSION_UNKNOWN')
}

import { type AgentFrame, limits, ServerFrame, type ServerFrameOf } from '@fleetupdate/sdk/protocol'
import { type Check, createCheck, parseJson } from './check.ts'
import { agentError, describeError } from './errors.ts'
import type { Identity } from './identity.ts'
import type { Keyring } from './keyring.ts'
import { oneLine } from './log.ts'
import type { SignedAnswer, SignedHttp } from './signed-http.ts'

/** One session with the server, by whatever way it travels. Frames come in order through {@link ChannelOptions.receive}. */
export interface Channel {
  readonly way: 'WebSocket' | 'poll'
  readonly welcome: ServerFrameOf<'welcome'>
  /** The key it stands on. */
  readonly identity: Identity
  /** Queues a frame; after the end it does nothing: whatever matters is sent again in the next session. */
  send(frame: AgentFrame): void
  close(): void
  /** Why it ended; resolves exactly once, never rejects. */
  readonly ended: Promise<string>
}

export interface ChannelOptions {
  readonly serverUrl: string
  readonly ca: string | undefined
  /** Signs with one key. */
  http(identity: Identity): SignedHttp
  /** The key of the next try. */
  readonly keys: Pick<Keyring, 'identity'>
  /** The frame every session begins with. */
  hello(): AgentFrame
  /** Stores a session ticket durably. */
  storeTicket(ticket: string): Promise<void>
  receive(frame: ServerFrame): void
  readonly signal: AbortSignal
}

const checks: ReadonlyMap<string, Check<unknown>> = new Map(
  Object.entries(ServerFrame).map(([type, schema]) => [type, createCheck(schema)]),
)

/**
 * A frame of the server: `unknown` where this agent does not know its type (it is ignored), `malformed` where it does not fit.
 */
export function readFrame(value: unknown): ServerFrame | 'unknown' | 'malformed' {
  if (typeof value !== 'object' || value === null || !('type' in value)) return 'malformed'
  if (typeof value.type !== 'string') return 'malformed'
  const check = checks.get(value.type)
  if (!check) return 'unknown'
  return isServerFrame(value, check) ? value : 'malformed'
}

/** The same from JSON text. */
export function readFrameText(text: string): ServerFrame | 'unknown' | 'malformed' {
  return readFrame(parseJson(text))
}

/** The error for an answer that is not what was hoped for. Only a trusted one may lead to anything but another try. */
export function refusedBy(serverUrl: string, { status, refusal, trusted }: SignedAnswer): Error {
  const code = refusal?.code ?? `HTTP ${status}`
  const reason = oneLine(refusal ? `${refusal.message} (${refusal.code})` : `it answered ${status}.`)
  const hint =
    refusal?.code === 'FLT_AUTH_SIGNATURE'
      ? ' If this agent was reset on the server, enrol it anew with: fleetupdate-agent enroll'
      : ''
  return agentError(
    'FLT_LINK_REFUSED',
    { url: serverUrl, reason: reason + hint },
    { details: { code, trusted } },
  )
}

/** Takes a session ticket: stores it, then confirms it in the session that brought it. Anything else is for `receive`. */
export function receiveIn(
  options: Pick<ChannelOptions, 'storeTicket' | 'receive'>,
  send: (frame: AgentFrame) => void,
  fail: (reason: string) => void,
): (frame: ServerFrame) => void {
  return (frame) => {
    if (frame.type !== 'ticket') return options.receive(frame)
    options.storeTicket(frame.ticket).then(
      () => send(frame),
      (error) => fail(`the session ticket cannot be stored: ${describeError(error)}`),
    )
  }
}

/** Fires when nothing came from the server for 60 s of a monotonic clock; `touch` it at each sign of life. */
export function createSilenceTimer(expired: () => void): { touch(): void; stop(): void } {
  const timer = setTimeout(expired, limits.silenceMs)
  return { touch: () => void timer.refresh(), stop: () => clearTimeout(timer) }
}

function isServerFrame(value: unknown, check: Check<unknown>): value is ServerFrame {
  return check.accepts(value)
}

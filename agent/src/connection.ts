import { performance } from 'node:perf_hooks'
import type { Log } from '@fleetupdate/sdk'
import { FleetError } from '@fleetupdate/sdk'
import { type AgentFrame, limits, type ServerFrame, type ServerFrameOf } from '@fleetupdate/sdk/protocol'
import { backoffMs, pause } from './backoff.ts'
import type { Channel, ChannelOptions } from './channel.ts'
import type { ServerClock } from './clock.ts'
import { openPoll, type PollMemory } from './connection-poll.ts'
import { openSocket } from './connection-socket.ts'
import { describeError } from './errors.ts'
import type { Identity } from './identity.ts'
import type { Keyring } from './keyring.ts'
import type { SignedHttp } from './signed-http.ts'

/** Where frames for the server go. Without a session they vanish: whoever sends keeps what matters until it is acknowledged. */
export interface Outbox {
  readonly online: boolean
  send(frame: AgentFrame): void
}

export interface ConnectionOptions {
  readonly serverUrl: string
  readonly ca: string | undefined
  http(identity: Identity): SignedHttp
  readonly keys: Keyring
  readonly clock: ServerClock
  hello(): AgentFrame
  storeTicket(ticket: string): Promise<void>
  opened(welcome: ServerFrameOf<'welcome'>): void
  received(frame: ServerFrame): void
  readonly log: Log
  readonly signal: AbortSignal
}

export interface Connection extends Outbox {
  run(): Promise<void>
  /** Whether the loop that keeps the session still turns: it took its last step within the time that this step may last. */
  readonly isTurning: boolean
}

/** How much longer than planned a step may take on a busy machine. */
const slackMs = 60_000
/** How long WebSocket may fail before polls are tried: so that a poll session stands within 15 s. */
const socketPatienceMs = 14_000
const socketTimeoutMs = 10_000
const pollTimeoutMs = 20_000
const stableMs = 30_000
/** After a session that came about, however short: the next try comes within 4 s. */
const mostAfterSession = 2
/** A server that knows this agent and refuses it is asked again this often. */
const refusedMs = 300_000
/** Somebody may release it soon. */
const quarantinedMs = 60_000

/**
 * Keeps one session with the server for as long as the signal lasts: WebSocket first, polls where it fails for 15 s, and WebSocket again within
 * 60 s. `run` resolves when the signal ends.
 */
export function createConnection(options: ConnectionOptions): Connection {
  const { log, signal, clock, keys } = options
  const memory: PollMemory = { boot: '' }
  let current: Channel | undefined
  let lastProblem = ''
  let dueMs = Number.POSITIVE_INFINITY
  const expectStep = (withinMs: number): void => {
    dueMs = performance.now() + withinMs + slackMs
  }

  const channelOptions: ChannelOptions = {
    ...options,
    receive(frame) {
      expectStep(limits.silenceMs)
      if (frame.type === 'ping') current?.send({ type: 'pong' })
      else if (frame.type === 'rekey') rekey(frame)
      else options.received(frame)
    },
  }
  const rekey = (frame: ServerFrameOf<'rekey'>): void => {
    const channel = current
    if (!channel) return
    keys.received(frame, channel.identity).then(
      (answer) => {
        // The new session begins at once: the loop sees that this one ended.
        if (answer === 'renew') channel.close()
        else if (answer) channel.send(answer)
      },
      (error) => log.warn(`No new key came about: ${describeError(error)}`),
    )
  }
  const heartbeat = setInterval(() => current?.send({ type: 'ping' }), limits.heartbeatMs)
  signal.addEventListener('abort', () => clearInterval(heartbeat), { once: true })

  const adopt = (channel: Channel): void => {
    const former = current
    current = channel
    former?.close()
    clock.sync(channel.welcome.time)
    void keys.opened(channel.identity)
    lastProblem = ''
    expectStep(limits.silenceMs)
    log.info('Connected to the server.', { way: channel.way, version: channel.welcome.serverVersion })
    options.opened(channel.welcome)
  }
  /** Lives through one session; over polls it looks for a WebSocket at the side. Resolves with the milliseconds it lived. */
  const live = async (first: Channel): Promise<number> => {
    const startedMs = performance.now()
    adopt(first)
    let channel = first
    let reason: string | undefined
    while (reason === undefined) {
      if (channel.way === 'WebSocket') reason = await channel.ended
      else {
        const waiting = new AbortController()
        const retry = pause(30_000 + Math.random() * 15_000, AbortSignal.any([signal, waiting.signal]))
        reason = await Promise.race([channel.ended, retry.then(() => undefined)])
        waiting.abort()
        if (reason === undefined) {
          const socket = await openSocket(channelOptions, socketTimeoutMs).catch(() => undefined)
          if (socket) adopt(socket)
          channel = socket ?? channel
        }
      }
    }
    current = undefined
    if (!signal.aborted) log.warn(`The session ended: ${reason}.`)
    return performance.now() - startedMs
  }
  const report = (error: unknown): void => {
    const problem = describeError(error)
    log[problem === lastProblem ? 'debug' : 'warn'](problem)
    lastProblem = problem
  }

  const run = async (): Promise<void> => {
    let failures = 0
    let failingSinceMs: number | undefined
    while (!signal.aborted) {
      const triedMs = performance.now()
      expectStep(socketTimeoutMs + pollTimeoutMs)
      failingSinceMs ??= triedMs
      const leftMs = socketPatienceMs - (triedMs - failingSinceMs)
      let opened: Channel | undefined
      let delayFloorMs = 0
      const tried = keys.identity
      try {
        opened = await openSocket(channelOptions, leftMs > 1000 ? Math.min(socketTimeoutMs, leftMs) : 3000)
      } catch (error) {
        report(error)
        if (isTrusted(error, 'FLT_AUTH_CLOCK') && failures === 0) {
          failures += 1
          continue
        }
        if (codeOf(error) === 'FLT_AUTH_SIGNATURE') keys.refused(tried)
        if (isTrusted(error, 'FLT_AGENT_REVOKED')) delayFloorMs = refusedMs
        else if (isTrusted(error, 'FLT_AGENT_QUARANTINED')) delayFloorMs = quarantinedMs
        else if (performance.now() - failingSinceMs >= socketPatienceMs)
          opened = await openPoll(channelOptions, memory).catch((problem) => {
            report(problem)
            return undefined
          })
      }
      if (signal.aborted) {
        opened?.close()
        return
      }
      if (opened) {
        failingSinceMs = undefined
        // The way is open: a network that breaks often must not cost more than a few seconds each time.
        failures = (await live(opened)) >= stableMs ? 0 : Math.min(failures, mostAfterSession)
      }
      failures += 1
      const waitMs = Math.max(backoffMs(failures), delayFloorMs)
      expectStep(waitMs)
      // Never sleep past the moment at which polls are due.
      const untilPollMs =
        failingSinceMs === undefined ? Infinity : failingSinceMs + socketPatienceMs - performance.now()
      await pause(untilPollMs > 0 && delayFloorMs === 0 ? Math.min(waitMs, untilPollMs) : waitMs, signal)
    }
    current?.close()
  }
  return {
    run,
    get isTurning() {
      return performance.now() <= dueMs
    },
    get online() {
      return current !== undefined
    },
    send: (frame) => current?.send(frame),
  }
}

function isTrusted(error: unknown, code: string): boolean {
  return codeOf(error) === code && detail(error, 'trusted') === true
}

/** The code of the refusal, signed or not. */
function codeOf(error: unknown): unknown {
  return detail(error, 'code')
}

function detail(error: unknown, name: 'code' | 'trusted'): unknown {
  if (!(error instanceof FleetError)) return undefined
  const { details } = error
  return typeof details === 'object' && details !== null ? Reflect.get(details, name) : undefined
}

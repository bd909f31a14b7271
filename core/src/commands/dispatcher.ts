import { setImmediate as turn } from 'node:timers/promises'
import type { Log } from '@fleetupdate/sdk'
import { limits, type ServerFrameOf } from '@fleetupdate/sdk/protocol'
import type { AgentSession } from '../agents/session.ts'
import { isoTime } from '../agents/view.ts'
import type { Store } from '../store/store.ts'
import type { Change, Changes } from './changes.ts'
import type { OpenCommand, OpenCommands } from './open-commands.ts'

/** Brings commands to their agents: offers, their repetition, expiry, cancels. Woken by events; a sweep of 1 s stands behind. */
export interface Dispatcher {
  /** Offers what this agent may take now. */
  wake(agentId: string): void
  /** Where a command could be offered at once: until when it may be accepted, and by whom. Undefined: it must wait. */
  offerable(command: OfferCandidate): { readonly notAfter: number; readonly generation: number } | undefined
  /** Sends offers that are already stored as such. */
  send(commands: readonly OpenCommand[]): Promise<void>
  /** Sends the cancel of a command whose wish is stored. */
  sendCancel(command: OpenCommand): void
  dispose(): void
}

export type OfferCandidate = Pick<OpenCommand, 'id' | 'agentId' | 'lane' | 'notBefore' | 'expiresAt'>

export interface DispatcherOptions {
  readonly store: Store
  readonly open: OpenCommands
  readonly changes: Changes
  readonly sessionOf: (agentId: string) => AgentSession | undefined
  readonly log: Log
  readonly now: () => number
}

const sweepMs = 1_000
const repeatOfferMs = 10_000
const repeatCancelMs = 5_000
const repeatQuestionMs = 5_000
/** How long the result of an attempt that its agent no longer knows may still arrive. */
const missingMs = 30_000
const sentInOneTurn = 500
/** The clock of an agent may trail: a moment near the command's own could still let it start. */
const longAgo = 0

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { store, open, changes, log, now } = options
  /** Agents of other protocols (generation 0) take commands where their plugin brings them. */
  const sessionOf = (agentId: string): AgentSession | undefined => {
    const session = options.sessionOf(agentId)
    return session && (session.generation > 0 || session.takesCommands) ? session : undefined
  }
  const apply = (list: readonly Change[]): Promise<readonly OpenCommand[]> =>
    changes.apply(list).catch((error: unknown) => {
      log.error('Commands could not be changed; the next sweep tries again', { error: String(error) })
      return []
    })
  const notAfter = (expiresAt: number): number => Math.min(expiresAt, now() + limits.offerSeconds * 1000)

  const offer = async (commands: readonly OpenCommand[], session: AgentSession): Promise<void> => {
    for (const command of commands) command.offeredMs = now()
    const offered = await apply(
      commands.map((command) => ({
        command,
        event: { type: 'offer' },
        patch: {
          epoch: Math.max(1, command.epoch),
          generation: session.generation,
          notAfter: notAfter(command.expiresAt),
        },
      })),
    )
    await send(offered)
  }

  const send = async (commands: readonly OpenCommand[]): Promise<void> => {
    for (const [i, command] of commands.entries()) {
      if (i % sentInOneTurn === sentInOneTurn - 1) await turn()
      const session = sessionOf(command.agentId)
      if (!session || command.state !== 'offered') continue
      command.offeredMs = now()
      session.send(await offerOf(store, command, command.notAfter ?? now()))
    }
  }

  /**
   * Asks an agent what became of an attempt it did not name: by an offer that is too late for a start by any clock. One that knows it says so, or
   * sends its result once more (this server may have been restored from a backup); one that does not refuses.
   */
  const askWhatBecame = async (command: OpenCommand): Promise<void> => {
    const session = sessionOf(command.agentId)
    if (!session) return
    command.offeredMs = now()
    session.send(await offerOf(store, command, longAgo))
  }

  const sendCancel = (command: OpenCommand): void => {
    const session = sessionOf(command.agentId)
    if (!session) return
    command.cancelSentMs = now()
    session.send({
      type: 'cancel',
      commandId: command.id,
      epoch: Math.max(1, command.epoch),
      ...(command.cancelForce === 1 ? { force: true } : {}),
    })
  }

  const wake = (agentId: string): void => {
    const session = sessionOf(agentId)
    if (!session) return
    const ready = takeable(open.of(agentId), now())
    if (ready.length > 0) void offer(ready, session)
  }

  /**
   * Only the agent knows whether it started what it was offered: an accept may still be on its way, or lost. It is asked by the same offer
   * until it answers, also when it is too late for a start; what never started it then refuses.
   */
  const sweepOffered = (command: OpenCommand): void => {
    const session = sessionOf(command.agentId)
    if (!session) return
    const isCancelled = command.cancelRequestedAt !== null
    if (isCancelled && command.cancelSentMs + repeatCancelMs <= now()) sendCancel(command)
    if (command.offeredMs + repeatOfferMs > now()) return
    command.offeredMs = now()
    if (isCancelled || command.expiresAt <= now())
      void send([command]).catch((error: unknown) =>
        log.error('An offer could not be repeated; the next sweep tries again', { error: String(error) }),
      )
    else void offer([command], session)
  }

  const sweepOne = (command: OpenCommand): Change | undefined => {
    if (command.state === 'queued')
      return command.expiresAt <= now()
        ? { command, event: { type: 'expire' }, patch: { reason: 'No agent took it in time.' } }
        : undefined
    if (command.state === 'offered') {
      sweepOffered(command)
      return undefined
    }
    if (command.missingSinceMs > 0 && command.missingSinceMs + missingMs <= now())
      return {
        command,
        event: { type: 'forget' },
        patch: { reason: noRecord },
      }
    if (command.missingSinceMs > 0 && command.offeredMs + repeatQuestionMs <= now())
      void askWhatBecame(command).catch((error: unknown) =>
        log.error('An agent could not be asked; the next sweep tries again', { error: String(error) }),
      )
    if (command.cancelRequestedAt !== null && command.cancelSentMs + repeatCancelMs <= now())
      sendCancel(command)
    return undefined
  }

  const sweep = setInterval(() => {
    const ended: Change[] = []
    for (const command of open.all()) {
      const change = command.isStored ? sweepOne(command) : undefined
      if (change) ended.push(change)
    }
    const freed = new Set(ended.map(({ command }) => command.agentId))
    for (let i = 0; i < ended.length; i += sentInOneTurn)
      void apply(ended.slice(i, i + sentInOneTurn)).then(() => {
        for (const agentId of freed) wake(agentId)
      })
    for (const agentId of open.agents()) if (!freed.has(agentId)) wake(agentId)
  }, sweepMs)
  sweep.unref()

  return {
    wake,
    send,
    sendCancel,
    offerable(candidate) {
      const session = sessionOf(candidate.agentId)
      if (!session || (candidate.notBefore ?? 0) > now() || candidate.expiresAt <= now()) return undefined
      const { lane } = candidate
      if (lane !== null && open.of(candidate.agentId).some((other) => blocks(other, lane, now())))
        return undefined
      return { notAfter: notAfter(candidate.expiresAt), generation: session.generation }
    },
    dispose: () => clearInterval(sweep),
  }
}

/** Why an attempt ends that its agent does not know. */
export const noRecord = 'The agent came back without any record of this attempt.'

async function offerOf(
  store: Store,
  command: OpenCommand,
  notAfter: number,
): Promise<ServerFrameOf<'offer'>> {
  const input = command.input ?? (await readInput(store, command.id))
  const dot = command.command.indexOf('.')
  return {
    type: 'offer',
    commandId: command.id,
    epoch: command.epoch,
    plugin: command.command.slice(0, dot),
    command: command.command.slice(dot + 1),
    input: JSON.parse(input),
    ...(command.lane === null ? {} : { lane: command.lane }),
    timeoutSeconds: command.timeoutSeconds,
    endless: command.endless === 1,
    ...(command.precondition === null ? {} : { precondition: command.precondition }),
    notAfter: isoTime(notAfter),
    expiresAt: isoTime(command.expiresAt),
  }
}

/** Queued commands an agent may take: the head of each lane that is free, and all that have no lane. */
function takeable(commands: readonly OpenCommand[], nowMs: number): OpenCommand[] {
  const busy = new Set<string>()
  for (const { state, lane } of commands) if (lane !== null && state !== 'queued') busy.add(lane)
  const ready: OpenCommand[] = []
  for (const command of commands) {
    if (command.state !== 'queued' || command.expiresAt <= nowMs || (command.notBefore ?? 0) > nowMs) continue
    if (command.lane !== null) {
      if (busy.has(command.lane)) continue
      busy.add(command.lane)
    }
    if (command.isStored && command.retryMs <= nowMs) ready.push(command)
  }
  return ready
}

/** One that is planned for later holds nobody up; everything else in the lane does. */
function blocks(command: OpenCommand, lane: string, nowMs: number): boolean {
  if (command.lane !== lane) return false
  return command.state !== 'queued' || (command.notBefore ?? 0) <= nowMs
}

async function readInput(store: Store, id: string): Promise<string> {
  const row = await store.read.selectFrom('commands').select('input').where('id', '=', id).executeTakeFirst()
  return row?.input ?? '{}'
}

import type { Log } from '@fleetupdate/sdk'
import type { AgentFrameOf } from '@fleetupdate/sdk/protocol'
import type { CommandFrame, CommandFrames } from '../agents/gateway/inbound.ts'
import type { AgentSession } from '../agents/session.ts'
import type { EventBus } from '../events/bus.ts'
import type { ContractRegistry } from '../plugins/registry.ts'
import type { Store } from '../store/store.ts'
import type { Changes } from './changes.ts'
import { type Dispatcher, noRecord } from './dispatcher.ts'
import type { OpenCommand, OpenCommands } from './open-commands.ts'
import type { OutputHook } from './output-hook.ts'
import { resultPatch } from './results.ts'

export interface AgentFramesOptions {
  readonly store: Store
  readonly open: OpenCommands
  readonly changes: Changes
  readonly dispatcher: Dispatcher
  readonly contracts: ContractRegistry
  readonly hook: OutputHook
  readonly bus: EventBus
  readonly log: Log
  readonly now: () => number
}

type Reject = AgentFrameOf<'reject'>
type Result = AgentFrameOf<'result'>

/** How long a command waits after its agent could not take it. */
const retryMs = 5_000

/** What agents say about commands. A frame about somebody else's command changes nothing. */
export function createAgentFrames(options: AgentFramesOptions): Omit<CommandFrames, 'output'> {
  const { store, open, changes, dispatcher, contracts, hook, bus, log, now } = options

  const accept = (command: OpenCommand, epoch: number, startedAt: string): void => {
    command.missingSinceMs = 0
    if (command.startedAt !== null) return
    const patch = { startedAt: within(startedAt, command.createdAt, now()), epoch }
    changes.note({ command, event: { type: 'accept' }, patch })
    if (command.cancelRequestedAt !== null) dispatcher.sendCancel(command)
  }

  const reject = async (command: OpenCommand, { kind, reason, notAfter }: Reject): Promise<void> => {
    const isStarted = command.state === 'started' || command.state === 'running'
    if (isStarted && command.missingSinceMs > 0 && (kind === 'expired' || kind === 'stale')) {
      await changes.apply([{ command, event: { type: 'forget' }, patch: { reason: noRecord } }])
      return dispatcher.wake(command.agentId)
    }
    const isVerdict = kind !== 'busy' && kind !== 'expired' && kind !== 'stale' && kind !== 'cancelled'
    if (isVerdict) {
      await changes.apply([
        { command, event: { type: 'reject' }, patch: { reason: `${kind}: ${reason}`.slice(0, 4000) } },
      ])
    } else if (kind !== 'cancelled' && notAfter !== undefined && Date.parse(notAfter) !== command.notAfter) {
      // It answers an earlier offer; to the one that came after it, the agent may have said yes.
      return
    } else if (kind === 'cancelled' || command.cancelRequestedAt !== null) {
      await changes.apply([{ command, event: { type: 'confirm-cancel' } }])
    } else {
      command.retryMs = now() + retryMs
      await changes.apply([{ command, event: { type: 'return' } }])
    }
    dispatcher.wake(command.agentId)
  }

  /** False where the agent sent more than is here, and gave it up since: this server was restored from a backup. */
  const hasWholeOutput = async (command: OpenCommand, { output }: Result): Promise<boolean> => {
    const keeper = hook.current()
    if (!keeper || output.bytes === 0) return true
    return (command.outputEnd ?? (await keeper.end(command.id))) >= output.bytes
  }

  const result = async (session: AgentSession, command: OpenCommand, frame: Result): Promise<void> => {
    const isWhole = await hasWholeOutput(command, frame)
    const patch = {
      ...resultPatch(frame, command, contracts, now()),
      ...(isWhole ? {} : { outputStored: 0 }),
    }
    const state = frame.state === 'failed' && frame.refusal === 'policy' ? 'rejected' : frame.state
    await changes.apply([{ command, event: { type: 'result', state }, patch }])
    session.send({ type: 'ack', commandId: frame.commandId, epoch: frame.epoch, result: true })
    dispatcher.wake(command.agentId)
  }

  /** Already applied, or from before a backup was restored: the agent may forget it. */
  const resultOfClosed = async (session: AgentSession, { commandId, epoch }: Result): Promise<void> => {
    const row = await store.read
      .selectFrom('commands')
      .select('agentId')
      .where('id', '=', commandId)
      .executeTakeFirst()
    if (row && row.agentId !== session.agentId) return
    if (!row) log.warn('A result for a command that is not known', { agentId: session.agentId, commandId })
    session.send({ type: 'ack', commandId, epoch, result: true })
  }

  return {
    hello(session, hello) {
      const attempts = new Map(hello.attempts.map((attempt) => [attempt.commandId, attempt]))
      for (const command of [...open.of(session.agentId)]) {
        if (!command.isStored) continue
        const attempt = attempts.get(command.id)
        const isStarted = command.state === 'started' || command.state === 'running'
        if (attempt && attempt.epoch >= command.epoch && !isStarted)
          accept(command, attempt.epoch, attempt.startedAt)
        // Unanswered offers are repeated at once in the new session, by the sweep.
        else if (command.state === 'offered') command.offeredMs = 0
        else if (isStarted) {
          command.missingSinceMs = attempt ? 0 : now()
          // The sweep asks at once.
          command.offeredMs = 0
        }
        if (isStarted && command.cancelRequestedAt !== null) dispatcher.sendCancel(command)
      }
      dispatcher.wake(session.agentId)
    },
    async handle(session, frame: CommandFrame) {
      const command = open.get(frame.commandId)
      if (!command) return frame.type === 'result' ? resultOfClosed(session, frame) : undefined
      if (command.agentId !== session.agentId || frame.epoch < command.epoch) return
      switch (frame.type) {
        case 'accept':
          return accept(command, frame.epoch, frame.startedAt)
        case 'reject':
          return reject(command, frame)
        case 'result':
          return result(session, command, frame)
        case 'progress': {
          const { percent, message } = frame
          command.progress = {
            ...(percent === undefined ? {} : { percent }),
            ...(message === undefined ? {} : { message }),
          }
          if (command.state === 'running')
            bus.emit('command.updated', {
              commandId: command.id,
              agentId: command.agentId,
              state: command.state,
              finished: false,
            })
          else noteActivity(changes, command, frame.epoch, now())
        }
      }
    },
  }
}

/** The first output or progress of an attempt. */
export function noteActivity(changes: Changes, command: OpenCommand, epoch: number, nowMs: number): void {
  if (command.state === 'running') return
  const patch = command.startedAt === null ? { startedAt: nowMs, epoch } : {}
  changes.note({ command, event: { type: 'activity' }, patch })
}

/** A time the agent says, inside what can be true. */
export function within(iso: string, earliest: number, latest: number): number {
  const time = Date.parse(iso)
  return Number.isNaN(time) ? latest : Math.max(earliest, Math.min(latest, time))
}

import { FleetError, type Log } from '@fleetupdate/sdk'
import type { EventBus } from '../events/bus.ts'
import type { Store, WriteOptions, WriteStatement } from '../store/store.ts'
import { type OpenCommand, type OpenCommands, restore } from './open-commands.ts'
import { type CommandEvent, isTerminal, transition } from './state-machine.ts'
import type { SuccessRate } from './success-rate.ts'
import type { CommandRow } from './tables.ts'

export type Patch = Partial<CommandRow>

export interface Change {
  readonly command: OpenCommand
  readonly event: CommandEvent
  readonly patch?: Patch
}

/** The only way a command changes. */
export interface Changes {
  /**
   * `more` becomes part of the batch where anything changes. Applies what the state machine allows, all in one durable batch; resolves with the commands that changed. Memory leads (so that the next
   * frame sees the new state), the store follows in the same order, and only then does anybody hear of it. Where the write fails,
   * memory is brought back to the store and this rejects.
   */
  apply(changes: readonly Change[], more?: readonly WriteStatement[]): Promise<readonly OpenCommand[]>
  /**
   * The same for what its agent would tell again after a crash: nobody waits for it, and it waits a little for a commit to share. A failure is told to
   * the log.
   */
  note(change: Change): void
}

export interface ChangesOptions {
  readonly store: Store
  readonly open: OpenCommands
  readonly bus: EventBus
  readonly rate: SuccessRate
  readonly log: Log
  readonly now: () => number
}

export function createChanges({ store, open, bus, rate, log, now }: ChangesOptions): Changes {
  /** Memory first; undefined where the event changes nothing. */
  const advance = ({ command, event, patch = {} }: Change): WriteStatement | undefined => {
    const step = transition(command.state, event)
    if ('refused' in step) return undefined
    const former = command.state
    const isEnd = isTerminal(step.next)
    const set: Patch = {
      ...patch,
      ...(step.next === former ? {} : { state: step.next }),
      ...(isEnd ? { finishedAt: patch.finishedAt ?? now() } : {}),
    }
    if (Object.keys(set).length === 0) return undefined
    const { input: _input, ...kept } = set
    Object.assign(command, kept)
    if (isEnd) open.remove(command.id)
    const { sql, parameters } = store.read
      .updateTable('commands')
      .set(set)
      .where('id', '=', command.id)
      .where('state', '=', former)
      .compile()
    return { sql, parameters, expectedRows: 1 }
  }

  const bringBack = async (commands: readonly OpenCommand[]): Promise<void> => {
    for (const command of commands) {
      const row = await store.read
        .selectFrom('commands')
        .selectAll()
        .where('id', '=', command.id)
        .executeTakeFirst()
      if (!row || isTerminal(row.state)) open.remove(command.id)
      else if (open.get(command.id)) restore(command, row)
      else open.add(row)
    }
  }

  const apply = async (
    changes: readonly Change[],
    more: readonly WriteStatement[],
    options?: WriteOptions,
  ): Promise<readonly OpenCommand[]> => {
    const changed: OpenCommand[] = []
    const statements: WriteStatement[] = []
    for (const change of changes) {
      const statement = advance(change)
      if (!statement) continue
      changed.push(change.command)
      statements.push(statement)
    }
    if (statements.length === 0) return []
    // The states of this batch: memory may be further on when the write is done.
    const told = changed.map(({ id, agentId, state, endless }) => ({ id, agentId, state, endless }))
    try {
      await store.write([...statements, ...more], options)
    } catch (error) {
      await bringBack(changed).catch((problem: unknown) =>
        log.error('A command could not be read again', { error: String(problem) }),
      )
      if (error instanceof FleetError && error.code === 'FLT_STORE_CONFLICT')
        log.warn('A command was changed by somebody else; it was read again', { id: changed[0]?.id })
      throw error
    }
    for (const { id, agentId, state, endless } of told) {
      const finished = isTerminal(state)
      if (finished && endless === 0) rate.add(state)
      bus.emit('command.updated', { commandId: id, agentId, state, finished })
    }
    return changed
  }

  return {
    apply: (changes, more = []) => apply(changes, more),
    note(change) {
      apply([change], [], { unhurried: true }).catch((error: unknown) =>
        log.error('The state of a command could not be stored; its agent will tell it again', {
          id: change.command.id,
          error: String(error),
        }),
      )
    },
  }
}

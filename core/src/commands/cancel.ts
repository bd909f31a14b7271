import type { CommandView } from '@fleetupdate/sdk'
import type { Audit } from '../audit/create-audit.ts'
import type { AuditEntry } from '../audit/entry.ts'
import { fleetError } from '../errors.ts'
import type { Store, WriteStatement } from '../store/store.ts'
import type { Change, Changes } from './changes.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { CommandReader } from './list.ts'
import type { OpenCommand, OpenCommands } from './open-commands.ts'

export interface CancelRequest {
  /** Who wants it, for the reason that is shown. */
  readonly by: string
  /** `safe-point` waits for the command's next safe point; `force` does not. */
  readonly manner: 'safe-point' | 'force'
  readonly address?: string
}

export interface CancelDeps {
  readonly store: Store
  readonly open: OpenCommands
  readonly changes: Changes
  readonly dispatcher: Dispatcher
  readonly reader: CommandReader
  readonly audit: Audit
  readonly now: () => number
}

/** Ends commands: queued ones at once, the others by their agents. The wish is durable before it is sent. */
export function createCancel({ store, open, changes, dispatcher, reader, audit, now }: CancelDeps) {
  const changeOf = (command: OpenCommand, { by, manner }: CancelRequest): Change => ({
    command,
    event: { type: 'cancel' },
    patch: {
      cancelRequestedAt: command.cancelRequestedAt ?? now(),
      ...(manner === 'force' ? { cancelForce: 1 } : {}),
      reason: `Cancelled by ${by}.`,
    },
  })
  const rowOf = (action: string, target: string, { by, manner, address }: CancelRequest): WriteStatement => {
    const actor: AuditEntry['actor'] = { type: 'user', id: by }
    return audit.row({ actor, action, target, address, details: { manner } })
  }
  const cancelAll = async (
    commands: readonly OpenCommand[],
    request: CancelRequest,
    row: WriteStatement,
  ): Promise<void> => {
    const wanted = commands.map((command) => changeOf(command, request))
    const changed = await changes.apply(wanted, [row])
    for (const command of changed) {
      if (open.get(command.id)) dispatcher.sendCancel(command)
      else dispatcher.wake(command.agentId)
    }
  }

  return {
    /** Throws FLT_COMMAND_NOT_FOUND, or FLT_COMMAND_FINISHED where there is nothing to cancel any more. */
    async cancel(id: string, request: CancelRequest): Promise<CommandView> {
      const command = open.get(id)
      if (command?.isStored) await cancelAll([command], request, rowOf('command.cancelled', id, request))
      const view = await reader.read(id)
      if (!view) throw fleetError('FLT_COMMAND_NOT_FOUND', { id: id.slice(0, 64) })
      if (!command?.isStored) throw fleetError('FLT_COMMAND_FINISHED', { state: view.state })
      return view
    },
    /** Cancels what can be; throws FLT_BATCH_NOT_FOUND. */
    async cancelBatch(id: string, request: CancelRequest): Promise<void> {
      const batch = await store.read
        .selectFrom('batches')
        .select('id')
        .where('id', '=', id)
        .executeTakeFirst()
      if (!batch) throw fleetError('FLT_BATCH_NOT_FOUND', { id: id.slice(0, 64) })
      const own = [...open.all()].filter((command) => command.batchId === id && command.isStored)
      for (let i = 0; i < own.length; i += 500)
        await cancelAll(own.slice(i, i + 500), request, rowOf('batch.cancelled', id, request))
    },
  }
}

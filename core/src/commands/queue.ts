import type { CommandView, Log, SubmitOptions } from '@fleetupdate/sdk'
import type { FleetIndex } from '../agents/fleet-index.ts'
import type { CommandFrames } from '../agents/gateway/inbound.ts'
import type { AgentSession } from '../agents/session.ts'
import type { Audit } from '../audit/create-audit.ts'
import { fleetError } from '../errors.ts'
import type { EventBus } from '../events/bus.ts'
import type { ContractRegistry } from '../plugins/registry.ts'
import type { Store } from '../store/store.ts'
import { createAgentFrames } from './agent-frames.ts'
import { createCancel } from './cancel.ts'
import { createChanges } from './changes.ts'
import { createDispatcher } from './dispatcher.ts'
import { createIdempotency } from './idempotency.ts'
import { type BatchView, type CommandReader, createCommandReader, readOpenRows } from './list.ts'
import { createOpenCommands } from './open-commands.ts'
import { createOutput } from './output.ts'
import type { OutputHook } from './output-hook.ts'
import { deleteOldCommands } from './retention.ts'
import { type Cause, createSubmit } from './submit.ts'
import { createSuccessRate } from './success-rate.ts'
import { isLost } from './view.ts'

export interface BatchTargets {
  readonly agentIds: readonly string[]
  /** What the Idempotency-Key covers: the targets as they were asked for. */
  readonly meaning: unknown
}

/** The durable command queue. What it accepted survives a power cut, starts at most once, and ends in a terminal state. */
export interface CommandQueue extends CommandReader {
  readonly frames: CommandFrames
  submit(
    cause: Cause,
    agentId: string,
    command: string,
    input: unknown,
    options: SubmitOptions,
  ): Promise<CommandView>
  /** The first 100 commands come with the answer. */
  submitBatch(
    cause: Cause,
    targets: BatchTargets,
    command: string,
    input: unknown,
    options: SubmitOptions,
  ): Promise<{
    readonly batch: { readonly id: string; readonly total: number }
    readonly items: readonly CommandView[]
  }>
  cancel: ReturnType<typeof createCancel>['cancel']
  cancelBatch(
    id: string,
    request: Parameters<ReturnType<typeof createCancel>['cancelBatch']>[1],
  ): Promise<BatchView>
  /** Between 0 and 1; null where nothing has finished. */
  successRate(last: number): number | null
  /** Ends what can never start, after an agent was removed or reset. */
  agentRevoked(agentId: string): Promise<void>
  dispose(): void
}

export interface CommandQueueOptions {
  readonly store: Store
  readonly index: FleetIndex
  readonly contracts: ContractRegistry
  readonly hook: OutputHook
  readonly bus: EventBus
  readonly log: Log
  readonly audit: Audit
  readonly sessionOf: (agentId: string) => AgentSession | undefined
  readonly silentMs: (agentId: string) => number
  /** How long a command that ended is kept. */
  readonly keepMs: number
  readonly now: () => number
}

const pruneMs = 3_600_000
const itemsInAnswer = 100

/** Builds the queue on what the store holds. */
export async function createCommandQueue(options: CommandQueueOptions): Promise<CommandQueue> {
  const { store, index, contracts, hook, bus, log, audit, now } = options
  const open = createOpenCommands()
  const rate = await createSuccessRate(store)
  const changes = createChanges({ store, open, bus, rate, log, now })
  const dispatcher = createDispatcher({ ...options, open, changes })
  const reader = createCommandReader(store, open, options)
  const idempotency = createIdempotency({ store, now })
  const submit = createSubmit({ store, contracts, open, dispatcher, idempotency, bus, log, audit, now })
  const cancel = createCancel({ store, open, changes, dispatcher, reader, audit, now })
  const frames = createAgentFrames({ store, open, changes, dispatcher, contracts, hook, bus, log, now })

  const stored = await readOpenRows(store, index)
  for (const row of stored.open) open.add(row)
  await endOrphans(store, stored.orphans, now())

  const sweepOld = async (): Promise<void> => {
    await idempotency.prune()
    const { commands, batches } = await deleteOldCommands({
      store,
      isOpen: (id) => open.get(id) !== undefined,
      keepMs: options.keepMs,
      now,
    })
    if (commands + batches > 0) log.info('Old commands were deleted', { commands, batches })
  }
  const prune = setInterval(() => {
    sweepOld().catch((error: unknown) =>
      log.error('Old commands and keys could not be deleted; the next sweep tries again', {
        error: String(error),
      }),
    )
  }, pruneMs)
  prune.unref()

  const view = async (id: string): Promise<CommandView> => {
    const command = await reader.read(id)
    if (!command) throw fleetError('FLT_COMMAND_NOT_FOUND', { id: id.slice(0, 64) })
    return command
  }
  const batchView = async (id: string): Promise<BatchView> => {
    const batch = await reader.batch(id)
    if (!batch) throw fleetError('FLT_BATCH_NOT_FOUND', { id: id.slice(0, 64) })
    return batch
  }
  const requireAgent = (agentId: string): void => {
    if (!index.get(agentId)) throw fleetError('FLT_AGENT_UNKNOWN', { id: agentId.slice(0, 64) })
  }

  return {
    ...reader,
    frames: { ...frames, output: createOutput({ store, open, changes, hook, bus, now }) },
    async submit(cause, agentId, command, input, submitOptions) {
      const check = (): void => requireAgent(agentId)
      const made = await submit({ cause, command, input, target: { agentId }, options: submitOptions, check })
      if (made.commandId === null) throw fleetError('FLT_IDEMPOTENCY_CONFLICT')
      return view(made.commandId)
    },
    async submitBatch(cause, { agentIds, meaning }, command, input, submitOptions) {
      const check = (): void => {
        if (agentIds.length === 0) throw fleetError('FLT_BATCH_EMPTY')
        for (const agentId of agentIds) requireAgent(agentId)
      }
      const target = { batch: [...new Set(agentIds)] }
      const made = await submit({ cause, command, input, target, options: submitOptions, meaning, check })
      if (made.batchId === null) throw fleetError('FLT_IDEMPOTENCY_CONFLICT')
      const { id, total } = await batchView(made.batchId)
      const { items } = await reader.list({ batch: id, limit: itemsInAnswer })
      return { batch: { id, total }, items }
    },
    cancel: cancel.cancel,
    async cancelBatch(id, request) {
      await cancel.cancelBatch(id, request)
      return batchView(id)
    },
    successRate: (last) => rate.of(last),
    async agentRevoked(agentId) {
      const own = [...open.of(agentId)]
      const queued = own.filter((command) => command.state === 'queued' && command.isStored)
      await changes.apply(
        queued.map((command) => ({
          command,
          event: { type: 'cancel' },
          patch: { reason: 'The agent was removed or reset.' },
        })),
      )
      for (const command of own) {
        if (!isLost(command, index)) continue
        open.remove(command.id)
        bus.emit('command.updated', { commandId: command.id, agentId, state: 'lost', finished: true })
      }
    },
    dispose() {
      clearInterval(prune)
      dispatcher.dispose()
    },
  }
}

/** Queued for agents that were removed while the server went down. */
async function endOrphans(store: Store, ids: readonly string[], nowMs: number): Promise<void> {
  for (let i = 0; i < ids.length; i += 500) {
    const end = store.read
      .updateTable('commands')
      .set({ state: 'cancelled', finishedAt: nowMs, reason: 'The agent was removed.' })
      .where('id', 'in', ids.slice(i, i + 500))
      .where('state', '=', 'queued')
    await store.write([end.compile()])
  }
}

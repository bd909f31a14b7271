import { setImmediate as turn } from 'node:timers/promises'
import { FleetError, type Log, type SubmitOptions } from '@fleetupdate/sdk'
import { v7 as uuid } from 'uuid'
import type { Audit } from '../audit/create-audit.ts'
import { fleetError } from '../errors.ts'
import type { EventBus } from '../events/bus.ts'
import type { ContractRegistry, RegisteredCommand } from '../plugins/registry.ts'
import type { Store, WriteStatement } from '../store/store.ts'
import type { Dispatcher } from './dispatcher.ts'
import { type Idempotency, type Made, requestHash } from './idempotency.ts'
import type { OpenCommand, OpenCommands } from './open-commands.ts'
import type { CommandRow } from './tables.ts'
import { readTiming } from './timing.ts'

/** Who or what wants a command. */
export interface Cause {
  readonly type: 'user' | 'plugin'
  readonly id: string
  /** For the audit: the network address it came from. */
  readonly address?: string
}

export interface Submission {
  readonly cause: Cause
  /** `<plugin>.<command>`. */
  readonly command: string
  readonly input: unknown
  /** One agent makes a command; `batch` makes a batch of however many. */
  readonly target: { readonly agentId: string } | { readonly batch: readonly string[] }
  readonly options: SubmitOptions
  /** What the Idempotency-Key covers, where it is not the list of agents itself (a filter). */
  readonly meaning?: unknown
  /** Throws where the targets are wrong; not asked where the same request was accepted before. */
  check(): void
}

export interface SubmitDeps {
  readonly store: Store
  readonly contracts: ContractRegistry
  readonly open: OpenCommands
  readonly dispatcher: Dispatcher
  readonly idempotency: Idempotency
  readonly bus: EventBus
  readonly log: Log
  readonly audit: Audit
  readonly now: () => number
}

/** What a frame to the agent has room for. */
const inputLength = 700 * 1024
const rowsPerStatement = 500

/**
 * Takes submissions. When it resolves the commands are on stable storage, and those whose agents are connected and free are
 * stored as offered and sent right after.
 */
export function createSubmit(deps: SubmitDeps): (submission: Submission) => Promise<Made> {
  const { store, contracts, open, dispatcher, idempotency, bus, log, audit, now } = deps

  const build = (
    submission: Submission,
    registered: RegisteredCommand,
    batchId: string | null,
  ): CommandRow[] => {
    const { cause, command, target, options } = submission
    const input = JSON.stringify(submission.input)
    if (input.length > inputLength) throw fleetError('FLT_HTTP_BODY_TOO_LARGE', { limit: inputLength })
    const { expiresAt, notBefore } = readTiming(options, now())
    const agentIds = 'agentId' in target ? [target.agentId] : target.batch
    return agentIds.map((agentId): CommandRow => {
      const id = uuid()
      const lane = registered.lane ?? null
      const offered = dispatcher.offerable({ id, agentId, lane, notBefore, expiresAt })
      return {
        id,
        batchId,
        agentId,
        command,
        input,
        lane,
        timeoutSeconds: options.timeoutSeconds ?? registered.timeoutSeconds,
        endless: registered.endless ? 1 : 0,
        precondition: options.precondition ?? null,
        causeType: cause.type,
        causeId: cause.id,
        state: offered ? 'offered' : 'queued',
        reason: null,
        result: null,
        exitCode: null,
        epoch: offered ? 1 : 0,
        generation: offered?.generation ?? null,
        notAfter: offered?.notAfter ?? null,
        createdAt: now(),
        notBefore,
        expiresAt,
        startedAt: null,
        finishedAt: null,
        cancelRequestedAt: null,
        cancelForce: 0,
        outputBytes: null,
        outputDropped: null,
        outputSha256: null,
        outputStored: 1,
      }
    })
  }

  /** In memory from now on, so that the next submission sees its lane taken; out again where the write fails. */
  const commit = async (
    rows: readonly CommandRow[],
    first: readonly WriteStatement[],
  ): Promise<OpenCommand[]> => {
    const commands = rows.map((row) => {
      const command = open.add(row)
      command.isStored = false
      command.offeredMs = now()
      return command
    })
    try {
      const inserts: WriteStatement[] = []
      for (let i = 0; i < rows.length; i += rowsPerStatement) {
        if (i > 0) await turn()
        const part = rows.slice(i, i + rowsPerStatement)
        inserts.push(store.read.insertInto('commands').values(part).compile())
      }
      await store.write([...first, ...inserts])
    } catch (error) {
      for (const { id } of commands) open.remove(id)
      throw error
    }
    for (const command of commands) command.isStored = true
    return commands
  }

  const announce = async (commands: readonly OpenCommand[]): Promise<void> => {
    await dispatcher.send(commands.filter((command) => command.state === 'offered'))
    for (const { id, agentId, state } of commands) {
      bus.emit('command.created', { commandId: id, agentId })
      if (state === 'queued') dispatcher.wake(agentId)
    }
  }

  return async (submission) => {
    const { cause, command, target, options } = submission
    const request =
      options.idempotencyKey === undefined
        ? undefined
        : {
            subject: `${cause.type}:${cause.id}`,
            key: options.idempotencyKey,
            hash: requestHash({
              command,
              input: submission.input,
              target: submission.meaning ?? target,
              options: { ...options, idempotencyKey: undefined },
            }),
          }
    const earlier = request && (await idempotency.find(request))
    if (earlier) return earlier
    submission.check()
    const registered = contracts.command(command)
    const problems = registered.inputProblems(submission.input)
    if (problems.length > 0)
      throw fleetError(
        'FLT_COMMAND_INPUT',
        { command, problem: problems.slice(0, 3).join('; ') },
        { details: { problems } },
      )
    const batchId = 'batch' in target ? uuid() : null
    const rows = build(submission, registered, batchId)
    const made: Made = { commandId: batchId === null ? (rows[0]?.id ?? null) : null, batchId }
    const first: WriteStatement[] = request ? [idempotency.statement(request, made)] : []
    if (batchId !== null)
      first.push(
        store.read
          .insertInto('batches')
          .values({
            id: batchId,
            command,
            total: rows.length,
            causeType: cause.type,
            causeId: cause.id,
            createdAt: now(),
          })
          .compile(),
      )
    first.push(
      audit.row({
        actor: cause,
        action: batchId === null ? 'command.submitted' : 'batch.submitted',
        target: batchId ?? rows[0]?.id ?? '',
        ...(cause.address === undefined ? {} : { address: cause.address }),
        details: { command, agents: agentsOf(target) },
      }),
    )
    try {
      const commands = await commit(rows, first)
      void announce(commands).catch((error: unknown) =>
        log.error('Offers could not be sent; they are repeated', { error: String(error) }),
      )
    } catch (error) {
      // The same request came twice at once: the other one made it.
      const isTaken = request && error instanceof FleetError && error.code === 'FLT_STORE_CONFLICT'
      const winner = isTaken ? await idempotency.find(request) : undefined
      if (!winner) throw error
      return winner
    }
    return made
  }
}

/** One agent by its name, few by their names, many by their number. */
function agentsOf(target: Submission['target']): string | readonly string[] | number {
  if ('agentId' in target) return target.agentId
  return target.batch.length <= 20 ? target.batch : target.batch.length
}

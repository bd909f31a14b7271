import type { CommandDefinition, Log } from '@fleetupdate/sdk'
import type { AgentFrameOf, ServerFrame, ServerFrameOf } from '@fleetupdate/sdk/protocol'
import { folderGone } from './attempt-burial.ts'
import { type AttemptSupervisor, superviseAttempt } from './attempt-supervisor.ts'
import { type Check, createCheck } from './check.ts'
import type { ServerClock } from './clock.ts'
import type { Outbox } from './connection.ts'
import { describeError } from './errors.ts'
import type { ExecutorHost, HostedExecutor } from './executor-host.ts'
import type { Journal, JournalEntry } from './journal.ts'
import type { Policy } from './policy.ts'
import type { PrivilegedWay } from './privilege/privilege.ts'
import type { StartRunner } from './runner-start.ts'

export interface DispatcherOptions {
  readonly journal: Journal
  readonly executors: Pick<ExecutorHost, 'find'>
  readonly executorFolders: readonly string[]
  readonly configFile: string
  readonly way: PrivilegedWay['kind']
  readonly clock: ServerClock
  readonly outbox: Outbox
  readonly startRunner: StartRunner
  readonly policy: Policy
  /** The executor of this plugin is on its way: its commands may be offered again. */
  isComing?(plugin: string): boolean
  /** A command of this plugin ended. */
  commandEnded(plugin: string): void
  readonly log: Log
}

/** Answers offers, starts attempts at most once, and sees each through until the server has its result. */
export interface Dispatcher {
  /** Takes up what an earlier agent process left. */
  recover(): Promise<void>
  opened(): void
  received(frame: ServerFrame): void
  /** SHA-256 of the bundles that attempts which have not ended need. */
  bundlesInUse(): readonly string[]
  /** For `hello`: accepted, result not acknowledged. */
  attempts(): AgentFrameOf<'hello'>['attempts']
  close(): Promise<void>
}

type RejectKind = AgentFrameOf<'reject'>['kind']
type Offer = ServerFrameOf<'offer'>

const mostAtOnce = 64
const mostReported = 1024

/** The dispatcher of one agent. Frames about one command are handled one after the other. */
export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { journal, outbox, clock, log } = options
  const live = new Map<string, AttemptSupervisor>()
  /** The last thing being done about a command. */
  const busy = new Map<string, Promise<void>>()
  /** Lanes of attempts that are being started this moment. */
  const starting = new Set<string>()

  const inTurn = (commandId: string, work: () => Promise<void>): void => {
    const turn = (busy.get(commandId) ?? Promise.resolve())
      .then(work)
      .catch((error) => log.error(`Command ${commandId}: ${describeError(error)}`))
      .finally(() => {
        if (busy.get(commandId) === turn) busy.delete(commandId)
      })
    busy.set(commandId, turn)
  }
  const supervise = (entry: JournalEntry, origin: 'fresh' | 'found'): AttemptSupervisor => {
    const key = keyOf(entry)
    const supervisor = superviseAttempt({
      entry,
      origin,
      journal,
      outbox,
      log,
      ended: () => options.commandEnded(entry.request?.plugin ?? ''),
      settled: () => {
        live.delete(key)
        supervisor.close().catch((error) => log.error(describeError(error)))
      },
    })
    live.set(key, supervisor)
    return supervisor
  }
  const reject = ({ commandId, epoch, notAfter }: Offer, kind: RejectKind, reason: string): void => {
    log[kind === 'busy' || kind === 'stale' ? 'debug' : 'warn'](
      `Command ${commandId} refused (${kind}): ${reason}`,
    )
    outbox.send({ type: 'reject', commandId, epoch, kind, reason: reason.slice(0, 4000), notAfter })
  }
  const offered = async (offer: Offer): Promise<void> => {
    const { commandId, epoch } = offer
    if (journal.has(commandId, epoch)) return answerKnown(offer)
    if (epoch < journal.highestEpoch(commandId))
      return reject(offer, 'stale', 'A later attempt is known here.')
    if (journal.isCancelled(commandId, epoch))
      return reject(offer, 'cancelled', 'It was cancelled before it began.')
    // Written the other way round, so that a time that cannot be read counts as past.
    if (!(clock.nowMs() <= Date.parse(offer.notAfter)))
      return reject(offer, 'expired', 'The offer came too late.')
    const hosted = options.executors.find(offer.plugin)
    if (!hosted?.executor && options.isComing?.(offer.plugin))
      return reject(offer, 'busy', `The executor "${offer.plugin}" is on its way to this machine.`)
    if (!hosted)
      return reject(offer, 'unavailable', `No executor "${offer.plugin}" is installed on this machine.`)
    const { executor, contract } = hosted
    if (!executor || !contract)
      return reject(offer, 'unavailable', `The executor "${offer.plugin}" failed: ${hosted.reason}`)
    const command: unknown = Object.hasOwn(contract.commands, offer.command)
      ? contract.commands[offer.command]
      : undefined
    if (!isDefinition(command))
      return reject(
        offer,
        'schema',
        `The executor "${offer.plugin}" here has no command "${offer.command}". Update it.`,
      )
    const problem = inputProblem(command.input, offer.input)
    if (problem !== undefined) return reject(offer, 'schema', `The input does not fit: ${problem}`)
    const { plugin, input } = offer
    const refusal = await options.policy.refusal({
      ...{ plugin, command: offer.command, input },
      effect: command.effect,
    })
    if (refusal !== undefined) return reject(offer, 'policy', refusal)
    // The contract on this machine decides; the offer may only add a lane.
    const lane = command.lane ?? offer.lane
    if (isTaken(commandId, lane))
      return reject(offer, 'busy', 'Something that must end first still runs here.')
    await begin(offer, hosted, lane)
  }
  const begin = async (offer: Offer, hosted: HostedExecutor, lane: string | undefined): Promise<void> => {
    const { commandId, epoch, plugin, command, input, timeoutSeconds, endless, precondition, expiresAt } =
      offer
    const { folder, isolated, contract } = hosted
    const safePoint = contract?.commands[command]?.cancel === 'safe-point'
    const request = {
      ...{ commandId, epoch, plugin, command, input, timeoutSeconds, endless, expiresAt, folder },
      ...(isolated ? { isolated: { ...isolated, safePoint } } : {}),
      ...(lane === undefined ? {} : { lane }),
      ...(precondition === undefined ? {} : { precondition }),
      startedAt: new Date(clock.nowMs()).toISOString(),
      executors: [...options.executorFolders],
      config: options.configFile,
      way: options.way,
    }
    if (lane !== undefined) starting.add(lane)
    let entry: JournalEntry | undefined
    try {
      entry = await journal.start(request)
    } catch (error) {
      return reject(offer, 'busy', `The start cannot be stored: ${describeError(error)}`)
    } finally {
      if (lane !== undefined) starting.delete(lane)
    }
    if (!entry) return answerKnown(offer)
    outbox.send({ type: 'accept', commandId, epoch, startedAt: entry.startedAt })
    const supervisor = supervise(entry, 'fresh')
    log.info(`Command ${commandId} starts: ${plugin}.${command}`)
    await supervisor.announced
    try {
      options.startRunner(entry, () => supervisor.runnerGone())
    } catch (error) {
      log.error(`The runner of ${commandId} cannot be started: ${describeError(error)}`)
      supervisor.runnerGone()
    }
  }
  const answerKnown = async (offer: Offer): Promise<void> => {
    const { commandId, epoch } = offer
    const final = await journal.lastWord(commandId, epoch)
    if (final) return outbox.send(final)
    const supervisor = live.get(keyOf(offer))
    if (!supervisor) return outbox.send(recordGone(offer, new Date(clock.nowMs()).toISOString()))
    outbox.send({ type: 'accept', commandId, epoch, startedAt: supervisor.entry.startedAt })
  }
  const isTaken = (commandId: string, lane: string | undefined): boolean => {
    if (lane !== undefined && starting.has(lane)) return true
    const running = [...live.values()].filter((one) => !one.hasEnded)
    if (running.length >= mostAtOnce) return true
    return running.some(
      ({ entry }) => entry.commandId === commandId || (lane !== undefined && entry.request?.lane === lane),
    )
  }
  const cancelled = async ({ commandId, epoch, force }: ServerFrameOf<'cancel'>): Promise<void> => {
    if (!journal.has(commandId, epoch)) return journal.rememberCancel(commandId, epoch)
    await live.get(keyOf({ commandId, epoch }))?.cancel(force === true)
  }
  return {
    async recover() {
      for (const entry of await journal.open()) supervise(entry, 'found')
    },
    opened() {
      for (const supervisor of live.values()) supervisor.opened()
    },
    received(frame) {
      if (frame.type === 'offer') inTurn(frame.commandId, () => offered(frame))
      if (frame.type === 'cancel') inTurn(frame.commandId, () => cancelled(frame))
      if (frame.type === 'ack' && frame.commandId !== undefined && frame.epoch !== undefined)
        live.get(keyOf({ commandId: frame.commandId, epoch: frame.epoch }))?.acknowledged(frame)
    },
    bundlesInUse: () =>
      [...live.values()]
        .filter((one) => !one.hasEnded)
        .flatMap(({ entry }) => entry.request?.isolated?.bundle ?? []),
    attempts: () =>
      [...live.values()].slice(0, mostReported).map(({ entry }) => {
        const { commandId, epoch, startedAt } = entry
        return { commandId, epoch, startedAt }
      }),
    async close() {
      await Promise.all(busy.values())
      await Promise.all([...live.values()].map((supervisor) => supervisor.close()))
    },
  }
}

function keyOf({ commandId, epoch }: { readonly commandId: string; readonly epoch: number }): string {
  return `${commandId}.${epoch}`
}

/** Of an attempt that was started here, and whose folder somebody removed since: it must neither start again nor count as running. */
function recordGone({ commandId, epoch }: Offer, at: string): AgentFrameOf<'result'> {
  const times = { startedAt: at, finishedAt: at }
  const reason = `It was started on this machine. ${folderGone}`
  return { type: 'result', commandId, epoch, state: 'interrupted', reason, output: { bytes: 0 }, ...times }
}

/** Compiled once per contract that is loaded. */
const inputChecks = new WeakMap<object, Check<unknown>>()

/** A command without a schema takes no input. */
function inputProblem(schema: unknown, input: unknown): string | undefined {
  if (typeof schema === 'object' && schema !== null) {
    const check = inputChecks.get(schema) ?? createCheck(schema)
    inputChecks.set(schema, check)
    return check.problem(input)
  }
  const empty =
    input === undefined || input === null || (typeof input === 'object' && Object.keys(input).length === 0)
  return empty ? undefined : 'this command takes none'
}

function isDefinition(
  value: unknown,
): value is Pick<CommandDefinition, 'lane' | 'effect'> & { readonly input?: unknown } {
  return typeof value === 'object' && value !== null
}

import { createHash } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import type { ExecutorContext, FactSource, Log } from '@fleetupdate/sdk'
import { canonicalJson, type FactItem } from '@fleetupdate/sdk/protocol'
import { pause } from './backoff.ts'
import { type Check, createCheck } from './check.ts'
import type { ServerClock } from './clock.ts'
import type { Outbox } from './connection.ts'
import { agentError, describeError } from './errors.ts'
import type { HostedExecutor } from './executor-host.ts'

export interface FactsOptions {
  /** Asked at the beginning of each round. */
  executors(): readonly HostedExecutor[]
  /** Time between two rounds. */
  readonly intervalMs: number
  context(executor: HostedExecutor, signal: AbortSignal): ExecutorContext
  readonly outbox: Outbox
  /** The server's clock: the one of the machine may be wrong by years, and with it the age of every fact. */
  readonly clock: Pick<ServerClock, 'nowMs'>
  readonly log: Log
  readonly signal: AbortSignal
  readonly collectorTimeoutMs?: number
}

/** Observes facts in rounds and tells the server what changed, until it says that this is durable. */
export interface Facts {
  /** Rounds until the signal ends; the first at once. */
  run(): Promise<void>
  /** A round now; facts of `plugin` are collected even where they are not due. */
  refresh(plugin: string): Promise<void>
  opened(factRevision: number): void
  acknowledged(revision: number): void
}

const factBytes = 512 * 1024
const frameBytes = 900 * 1024
const frameItems = 256

interface Fact {
  readonly plugin: string
  readonly name: string
  readonly source: FactSource<unknown>
  readonly check: Check<unknown>
  collectedAtMs: number
  collecting: boolean
  value: ObservedValue | undefined
  error: string | undefined
  /** What the server has durably, in comparable form. */
  stored: string | undefined
  /** What was sent in this session and is not acknowledged. */
  sent: { readonly content: string; readonly revision: number } | undefined
}

interface ObservedValue {
  /** As its collector gave it. */
  readonly json: string
  readonly hash: string
  readonly parsed: unknown
  readonly atMs: number
}

/** The facts of the executors that loaded. Values live in memory alone: after a restart all are observed and sent anew. */
export function createFacts(options: FactsOptions): Facts {
  const { outbox, clock, log, signal, collectorTimeoutMs = 30_000 } = options
  let groups: readonly { readonly executor: HostedExecutor; readonly facts: readonly Fact[] }[] = []
  let all: readonly Fact[] = []
  let revision = 0
  let acknowledged = 0
  let round: Promise<void> = Promise.resolve()

  /** Takes in what was loaded since, and drops what is not there any more. */
  const follow = (): void => {
    groups = options
      .executors()
      .map(
        (executor) =>
          groups.find((group) => group.executor === executor) ?? { executor, facts: factsOf(executor) },
      )
    all = groups.flatMap(({ facts }) => facts)
  }
  const collectGroup = async (
    { executor, facts }: (typeof groups)[number],
    forced: boolean,
  ): Promise<void> => {
    for (const fact of facts) {
      if (signal.aborted || fact.collecting || !(forced || isDue(fact))) continue
      const changed = await collect(fact, executor)
      if (changed) flush()
    }
  }
  const collect = async (fact: Fact, executor: HostedExecutor): Promise<boolean> => {
    const before = contentOf(fact)
    fact.collectedAtMs = performance.now()
    const timeout = new AbortController()
    const context = options.context(executor, AbortSignal.any([signal, timeout.signal]))
    const collector = typeof fact.source === 'function' ? fact.source : fact.source.collect
    fact.collecting = true
    const collected = Promise.resolve()
      .then(() => collector(context))
      .finally(() => {
        fact.collecting = false
      })
    const late = setTimeout(
      () => timeout.abort(agentError('FLT_FACT_TIMEOUT', { seconds: collectorTimeoutMs / 1000 })),
      collectorTimeoutMs,
    )
    try {
      const value = await Promise.race([collected, whenAborted(timeout.signal)])
      fact.value = observed(value, fact)
      fact.error = undefined
    } catch (error) {
      fact.error = describeError(timeout.signal.aborted ? timeout.signal.reason : error).slice(0, 4000)
      log.debug(`The fact ${fact.plugin}.${fact.name} failed: ${fact.error}`)
    } finally {
      clearTimeout(late)
    }
    return !signal.aborted && contentOf(fact) !== before
  }
  /** Sends everything the server does not have yet. */
  const flush = (): void => {
    if (!outbox.online) return
    let items: FactItem[] = []
    let bytes = 0
    const send = (): void => {
      if (items.length > 0) outbox.send({ type: 'facts', items })
      items = []
      bytes = 0
    }
    for (const fact of all) {
      const content = contentOf(fact)
      if (content === undefined || content === fact.stored || content === fact.sent?.content) continue
      revision += 1
      fact.sent = { content, revision }
      const item = itemOf(fact, revision, clock)
      bytes += JSON.stringify(item).length * 1.5
      if (items.length > 0 && (bytes > frameBytes || items.length >= frameItems)) send()
      items.push(item)
    }
    send()
  }
  const collectAll = (forced?: string): Promise<void> => {
    // One round after the other: a round that was asked for meanwhile begins when this one ended.
    round = round.then(async () => {
      follow()
      await Promise.all(groups.map((group) => collectGroup(group, group.executor.id === forced)))
    })
    return round
  }
  return {
    async run() {
      while (!signal.aborted) {
        await collectAll()
        await pause(options.intervalMs, signal)
      }
    },
    refresh: (plugin) => collectAll(plugin),
    opened(factRevision) {
      // A server that has less than it once acknowledged was restored from a backup.
      if (factRevision < acknowledged) for (const fact of all) fact.stored = undefined
      revision = Math.max(revision, factRevision)
      for (const fact of all) fact.sent = undefined
      flush()
    },
    acknowledged(upTo) {
      acknowledged = Math.max(acknowledged, upTo)
      for (const fact of all) {
        if (!fact.sent || fact.sent.revision > upTo) continue
        fact.stored = fact.sent.content
        fact.sent = undefined
      }
    },
  }
}

function factsOf({ id, executor, contract }: HostedExecutor): Fact[] {
  if (!executor || !contract) return []
  return Object.entries(executor.facts).flatMap(([name, source]) => {
    const schema: unknown = contract.facts[name]
    if (typeof schema !== 'object' || schema === null) return []
    const check = createCheck(schema)
    return [
      {
        plugin: id,
        name,
        source,
        check,
        collectedAtMs: Number.NEGATIVE_INFINITY,
        collecting: false,
        value: undefined,
        error: undefined,
        stored: undefined,
        sent: undefined,
      },
    ]
  })
}

/** A second early counts as due: rounds of the same length must not miss every other time. */
function isDue({ source, collectedAtMs }: Fact): boolean {
  if (typeof source === 'function') return true
  return performance.now() - collectedAtMs >= source.everySeconds * 1000 - 1000
}

function observed(value: unknown, { check, value: former }: Pick<Fact, 'check' | 'value'>): ObservedValue {
  const json = value === undefined ? undefined : JSON.stringify(value)
  if (json === undefined) throw agentError('FLT_FACT_INVALID', { problem: 'the executor gave no value' })
  // Most rounds see what the one before saw.
  if (json === former?.json) return { ...former, atMs: performance.now() }
  const bytes = Buffer.byteLength(json)
  if (bytes > factBytes) throw agentError('FLT_FACT_TOO_LARGE', { bytes, limit: factBytes })
  const parsed: unknown = JSON.parse(json)
  const problem = check.problem(parsed)
  if (problem !== undefined) throw agentError('FLT_FACT_INVALID', { problem })
  const hash = createHash('sha256').update(canonicalJson(parsed)).digest('base64')
  return { json, hash, parsed, atMs: performance.now() }
}

/** Equal where the server need not be told; undefined where nothing is known yet. */
function contentOf({ value, error }: Fact): string | undefined {
  return value === undefined && error === undefined ? undefined : `${error ?? ''}\n${value?.hash ?? ''}`
}

function itemOf(
  { plugin, name, value, error }: Fact,
  revision: number,
  clock: Pick<ServerClock, 'nowMs'>,
): FactItem {
  const ageMs = value === undefined ? 0 : performance.now() - value.atMs
  return {
    plugin,
    fact: name,
    ...(value === undefined ? {} : { value: value.parsed }),
    ...(error === undefined ? {} : { error }),
    observedAt: new Date(clock.nowMs() - ageMs).toISOString(),
    revision,
  }
}

function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { Log } from '@fleetupdate/sdk'
import type { WantedExecutor, WantedExecutors } from '@fleetupdate/sdk/protocol'
import { backoffMs, pause } from '../backoff.ts'
import { createCheck } from '../check.ts'
import { readJson, writeDurably } from '../durable-file.ts'
import { describeError } from '../errors.ts'
import type { ExecutorHost, HostedExecutor } from '../executor-host.ts'
import { hostIsolated } from '../isolation/host-isolated.ts'
import type { StartIsolated } from '../isolation/isolated-process.ts'
import type { KeptAnswer } from '../schemas.ts'
import { StoredWanted } from '../schemas.ts'
import type { Downloads } from './download.ts'
import type { AskKeeper } from './keeper-client.ts'
import type { UnsignedExecutors } from './unsigned-executors.ts'

export interface DeliveryOptions {
  readonly stateDir: string
  /** The folder of the configuration: `trust.yaml` and `policy.yaml`. */
  readonly settings: string
  readonly host: ExecutorHost
  readonly keeper: AskKeeper
  readonly downloads: Downloads
  readonly unsigned: UnsignedExecutors
  readonly start: StartIsolated
  /** Bundles that attempts which have not ended need. */
  inUse(): readonly string[]
  readonly log: Log
  readonly signal: AbortSignal
}

/** Brings executors from the server onto this machine, as far as its owner lets them, and takes them away again. */
export interface Delivery {
  /** Loads what was wanted and kept when the agent last ran. One that hangs keeps the agent from its server for 3 s at most: it comes later. */
  recover(): Promise<void>
  /** The server's whole list. */
  wanted(list: WantedExecutors): void
  /** Whether the executor of a plugin is on its way, so that a command for it should be offered again. */
  isComing(plugin: string): boolean
  /** Looks after trust, changes by hand, and failed fetches until the signal ends. */
  run(): Promise<void>
}

const lookMs = 5000
const recoverMs = 3000
/** Also without any change: a bundle may have expired. */
const anywayMs = 3_600_000
/** Somebody may have removed what was modified, so that it comes again. */
const repairedMs = 60_000
const wantedCheck = createCheck(StoredWanted)

/** The delivery of one agent. One round at a time; a round that is asked for meanwhile follows. */
export function createDelivery(options: DeliveryOptions): Delivery {
  const { host, keeper, downloads, unsigned, start, log, signal, settings } = options
  const wantedFile = join(options.stateDir, 'wanted.json')
  let items: readonly WantedExecutor[] = []
  /** Plugin → what became of its bundle. */
  const delivered = new Map<string, { readonly sha256: string; readonly hosted: HostedExecutor }>()
  /** Bundle → when it may be fetched, by the monotonic clock. */
  const fetchAt = new Map<string, { atMs: number; failures: number }>()
  let asked = true
  let recovered: Promise<void> = Promise.resolve()
  let isLoading = false
  let wake = (): void => undefined

  const isBuiltIn = (id: string): boolean => host.find(id)?.trust === 'built-in'
  const publish = (): void =>
    host.replace(
      'delivered',
      [...delivered.values()].map(({ hosted }) => hosted),
    )
  const settle = async (item: WantedExecutor, answer: KeptAnswer): Promise<void> => {
    const { id, sha256 } = item
    const before = delivered.get(id)
    const isSame = before?.sha256 === sha256
    let hosted: HostedExecutor | undefined
    if (answer.state === undefined && answer.id !== id)
      return settle(item, { sha256, state: 'refused', reason: `the bundle is of "${answer.id}"` })
    if (answer.state !== undefined) {
      hosted = refused(item, answer)
      if (isSame && before.hosted.reason === hosted.reason) return
      log.warn(`The executor "${id}" ${item.version} is ${hosted.trust} on this machine: ${hosted.reason}`)
    } else {
      if (isSame && before.hosted.trust === 'signed' && before.hosted.executor) return
      const { folder = '', publisher = '', entrySha256 = '' } = answer
      const place = { id, folder, publisher, bundle: sha256, entrySha256 }
      hosted = await hostIsolated(start, { ...place, trust: 'signed' })
    }
    if (hosted) delivered.set(id, { sha256, hosted })
    publish()
  }
  /** Has the keeper look at what it keeps; answers what it does not have. */
  const settleKept = async (all: readonly WantedExecutor[]): Promise<readonly WantedExecutor[]> => {
    if (all.length === 0) return []
    const { bundles = [] } = await keeper({ verb: 'verify', bundles: all.map(({ sha256 }) => sha256) })
    const missing: WantedExecutor[] = []
    for (const item of all) {
      const answer = bundles.find(({ sha256 }) => sha256 === item.sha256)
      if (!answer || answer.state === 'missing') missing.push(item)
      else await settle(item, answer)
    }
    return missing
  }
  const fetch = async (item: WantedExecutor): Promise<void> => {
    const { id, sha256 } = item
    const plan = fetchAt.get(sha256)
    if (plan && plan.atMs > performance.now()) return
    try {
      if (!(await downloads.has(sha256))) await downloads.fetch(item)
      const { bundles: [answer] = [] } = await keeper({ verb: 'store', sha256 })
      if (answer && answer.state !== 'missing') await settle(item, answer)
      fetchAt.delete(sha256)
    } catch (error) {
      if (signal.aborted) return
      const failures = (plan?.failures ?? 0) + 1
      fetchAt.set(sha256, { failures, atMs: performance.now() + lookMs + backoffMs(failures) })
      log.warn(describeError(error))
      if (!delivered.has(id)) await settle(item, { sha256, state: 'refused', reason: describeError(error) })
    }
  }
  const lookAtFolders = async (): Promise<void> => {
    if (!unsigned.isNeeded) return
    const { unsigned: rule = 'refuse', problem } = await keeper({ verb: 'trust' })
    if (problem !== undefined) log.warn(problem)
    host.replace('folder', await unsigned.look(rule))
  }
  const loadKept = async (): Promise<void> => {
    await lookAtFolders()
    await settleKept(items.filter(({ id }) => !isBuiltIn(id)))
  }
  const round = async (): Promise<void> => {
    await lookAtFolders()
    const all = items.filter(({ id }) => !isBuiltIn(id))
    const gone = [...delivered.keys()].filter((id) => !all.some((one) => one.id === id))
    for (const id of gone) delivered.delete(id)
    publish()
    for (const item of await settleKept(all)) if (!signal.aborted) await fetch(item)
    if (all.length === 0 && gone.length === 0) return
    const isRunning = ({ id }: WantedExecutor): boolean => delivered.get(id)?.hosted.trust === 'signed'
    // What was refused is looked at again when trust changes, without fetching it once more.
    await downloads.keepOnly(all.filter((one) => !isRunning(one)).map(({ sha256 }) => sha256))
    const needed = [...all.map(({ sha256 }) => sha256), ...options.inUse()]
    await keeper({ verb: 'sweep', bundles: [...new Set(needed)] })
  }
  const untilWoken = (waitMs: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, waitMs)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  return {
    async recover() {
      items = (await readJson(wantedFile, wantedCheck)) ?? []
      isLoading = true
      recovered = loadKept()
        .catch((error) => log.warn(describeError(error)))
        .finally(() => {
          isLoading = false
        })
      await Promise.race([recovered, pause(recoverMs, signal)])
    },
    wanted(list) {
      const next = list.items.map(({ id, version, sha256, bytes }) => ({ id, version, sha256, bytes }))
      if (JSON.stringify(next) === JSON.stringify(items)) return
      const news = next.filter(({ sha256 }) => !items.some((one) => one.sha256 === sha256))
      items = next
      for (const { sha256 } of news) {
        const atMs = performance.now() + Math.random() * list.spreadSeconds * 1000
        fetchAt.set(sha256, { failures: 0, atMs })
      }
      for (const hash of fetchAt.keys()) if (!next.some(({ sha256 }) => sha256 === hash)) fetchAt.delete(hash)
      writeDurably(wantedFile, JSON.stringify(next)).catch((error) => log.error(describeError(error)))
      asked = true
      wake()
    },
    isComing: (plugin) =>
      (isLoading && !host.find(plugin)) ||
      items.some(({ id, sha256 }) => id === plugin && delivered.get(plugin)?.sha256 !== sha256),
    async run() {
      await recovered
      signal.addEventListener('abort', () => wake(), { once: true })
      let seen = ''
      let lastMs = performance.now()
      while (!signal.aborted) {
        const print = `${printOf(settings)} ${await unsigned.print()}`
        const isModified = [...delivered.values()].some(({ hosted }) => hosted.trust === 'modified')
        const isLate = performance.now() - lastMs > (isModified ? repairedMs : anywayMs)
        if (print !== seen || isLate || asked || untilFetchMs(fetchAt) <= 0) {
          asked = false
          seen = print
          lastMs = performance.now()
          await round().catch((error) => signal.aborted || log.warn(describeError(error)))
        }
        if (!asked && !signal.aborted)
          await untilWoken(Math.min(lookMs, Math.max(100, untilFetchMs(fetchAt))))
      }
    },
  }
}

function untilFetchMs(fetchAt: ReadonlyMap<string, { readonly atMs: number }>): number {
  return Math.min(...[...fetchAt.values()].map(({ atMs }) => atMs)) - performance.now()
}

function refused({ id, version }: WantedExecutor, { state, reason = '' }: KeptAnswer): HostedExecutor {
  const none = { executor: undefined, contract: undefined, contractHash: '', manifest: undefined }
  const trust = state === 'modified' ? 'modified' : 'refused'
  return { ...{ id, version, folder: '', ...none }, trust, isolated: {}, reason: reason.slice(0, 4000) }
}

/** Changes when what the owner decided does. Every few seconds for ever: one call of the system each, where a promise costs ten times as much. */
function printOf(settings: string): string {
  return ['trust.yaml', 'policy.yaml'].map((name) => printOfFile(join(settings, name))).join(' ')
}

function printOfFile(path: string): string {
  try {
    const found = statSync(path, { throwIfNoEntry: false })
    return found ? `${found.mtimeMs}/${found.ctimeMs}/${found.size}/${found.ino}` : '-'
  } catch {
    return '-'
  }
}

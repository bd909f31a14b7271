import type { Log } from '@fleetupdate/sdk'
import { fleetError } from '../errors.ts'
import type { Store, WriteStatement } from '../store/store.ts'
import { type Checkpoint, type CheckpointFile, openCheckpointFile } from './checkpoints.ts'
import { type AuditEntry, contentOf, digestOf, macOf, rowKey } from './entry.ts'
import { createGrowth } from './growth.ts'
import { createRefusals } from './refusals.ts'
import type { AuditRow } from './tables.ts'

/** Writes down who did what, and what was refused. */
export interface Audit {
  /** The statement that adds a row to the chain: it belongs into the batch of the change it tells of, so that neither exists alone. */
  row(entry: AuditEntry): WriteStatement
  /** A row by itself, for what is not kept in the store (a plugin's files). Durable when it resolves. */
  note(entry: AuditEntry): Promise<void>
  /** Something was refused: a row of its own, soon. Floods are counted instead of written. Never throws. */
  refused(entry: AuditEntry): void
  /** Called soon after the audit grew, whoever wrote the row. Returns what ends it. */
  follow(listener: () => void): () => void
  /** The newest row that was signed; undefined before the first, and where none are made. */
  checkpoint(): Checkpoint | undefined
  /** Writes what was counted, and signs the last checkpoint. The store must still be open. */
  dispose(): Promise<void>
}

export interface AuditOptions {
  readonly store: Store
  readonly masterKey: Uint8Array
  /** Where signed checkpoints are appended; undefined: none are made. */
  readonly checkpoints: string | undefined
  readonly log: Log
  /** Unix ms; default the system's clock. */
  readonly now?: () => number
  /** Name of this writer's chain. */
  readonly chain?: string
}

const checkpointAfterMs = 1_000
const checkpointEveryMs = 10_000

/**
 * Opens the chain of this server. A checkpoint is signed a second after a row was added, and at most every ten seconds; at the
 * start the newest one is compared with the database, and a difference is logged.
 */
export async function createAudit(options: AuditOptions): Promise<Audit> {
  const { store, log, now = Date.now, chain = 'server' } = options
  const key = rowKey(options.masterKey)
  const growth = createGrowth(store)
  const file = options.checkpoints && (await openCheckpointFile(options.checkpoints, options.masterKey))
  let timer: NodeJS.Timeout | undefined
  let lastMs = Number.NEGATIVE_INFINITY
  let last = file ? await compareWithFile(file) : undefined

  const statement = (entry: AuditEntry, outcome: AuditRow['outcome']): WriteStatement => {
    const content = contentOf(entry, { chain, at: now(), outcome })
    const digest = digestOf(content)
    const mac = macOf(key, digest)
    schedule()
    growth.hint()
    const { at, actorType, actorId, action, target, address, details } = content
    return {
      sql: insertRow,
      parameters: [
        ...[chain, at, actorType, actorId, action, target, outcome, address, details, mac],
        ...[digest, mac, chain, chain],
      ],
      expectedRows: 1,
    }
  }
  const refusals = createRefusals({
    write: (entry) => store.write([statement(entry, 'refused')]).then(() => undefined),
    log,
    now,
  })

  if (file) await sign(file)
  return {
    row: (entry) => statement(entry, 'done'),
    async note(entry) {
      await store.write([statement(entry, 'done')])
    },
    refused: refusals.add,
    follow: growth.follow,
    checkpoint: () => last,
    async dispose() {
      growth.dispose()
      await refusals.dispose()
      clearTimeout(timer)
      timer = undefined
      if (file) await sign(file)
    },
  }

  function schedule(): void {
    if (!file || timer) return
    const waitMs = Math.max(checkpointAfterMs, lastMs + checkpointEveryMs - performance.now())
    timer = setTimeout(() => {
      timer = undefined
      void sign(file)
    }, waitMs)
    timer.unref()
  }

  async function sign(target: CheckpointFile): Promise<void> {
    try {
      lastMs = performance.now()
      const head = await store.read
        .selectFrom('audit_log')
        .select(['seq', 'hash'])
        .where('chain', '=', chain)
        .orderBy('seq', 'desc')
        .limit(1)
        .executeTakeFirst()
      if (!head || head.seq === last?.seq) return
      const next = { chain, ...head, at: new Date(now()).toISOString() }
      await target.append(next)
      last = next
    } catch (error) {
      log.error('The audit could not be signed; it is tried again', { error: String(error) })
      schedule()
    }
  }

  async function compareWithFile(target: CheckpointFile): Promise<Checkpoint | undefined> {
    const { checkpoints, problems } = await target.read()
    for (const problem of problems.slice(0, 3)) {
      const { code, message } = fleetError('FLT_AUDIT_CHECKPOINTS', { problem })
      log.error(`${code}: ${message}`)
    }
    const newest = checkpoints.findLast((each) => each.chain === chain)
    if (!newest) return undefined
    const row = await store.read
      .selectFrom('audit_log')
      .select('hash')
      .where('chain', '=', chain)
      .where('seq', '=', newest.seq)
      .executeTakeFirst()
    if (row?.hash !== newest.hash)
      log.error('The audit log is not the one that was signed last. Run: audit verify', { seq: newest.seq })
    return newest
  }
}

/** `sha256_hex` is the store's own function; number and hash are taken inside the transaction, so that no failed batch leaves a gap. */
const insertRow = `insert into "audit_log"
  ("chain", "seq", "at", "actorType", "actorId", "action", "target", "outcome", "address", "details", "mac", "hash")
select ?, "seq", ?, ?, ?, ?, ?, ?, ?, ?, ?, sha256_hex("previous" || ':' || cast("seq" as text) || ':' || ? || ':' || ?)
from (
  select
    coalesce((select "seq" from "audit_log" where "chain" = ? order by "seq" desc limit 1), 0) + 1 as "seq",
    coalesce((select "hash" from "audit_log" where "chain" = ? order by "seq" desc limit 1), '') as "previous"
) as "head"`

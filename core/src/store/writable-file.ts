import { createHash } from 'node:crypto'
import Database from 'better-sqlite3'
import type { BatchResult, Failure, GroupBatch } from './messages.ts'
import { problemOf, sqliteCode, troubleOf } from './sqlite-trouble.ts'
import { createStatementCache } from './statement-cache.ts'
import type { WriteOutcome } from './store.ts'

export interface WritableFileOptions {
  readonly path: string
  /** How long a batch may wait for a lock that another process holds. */
  readonly busyMs: number
  answer(results: readonly BatchResult[]): void
  /** The disk failed; what was not answered is not known to be stored. */
  fatal(failure: Failure): void
}

/** The one writable handle of a file; lives in the writer's thread. */
export interface WritableFile {
  /** Commits all batches at once, each in a savepoint of its own, and answers each exactly once, after the commit. */
  commit(batches: readonly GroupBatch[], texts: readonly string[]): void
  close(): void
}

interface Waiting extends GroupBatch {
  readonly giveUpAt: number
}

const lockPollMs = 20
/** Frames of the write-ahead log (4 KiB each) after which they are moved into the file. */
const checkpointFrames = 1000

/** Opens, and where it is missing creates, a file. Throws what SQLite throws. */
export function openWritableFile({ path, busyMs, answer, fatal }: WritableFileOptions): WritableFile {
  const db = openDurable(path)
  const statements = createStatementCache(db, refuseControl)
  const begin = db.prepare('BEGIN IMMEDIATE')
  const commit = db.prepare('COMMIT')
  const savepoint = db.prepare('SAVEPOINT batch')
  const release = db.prepare('RELEASE batch')
  const rollbackBatch = db.prepare('ROLLBACK TO batch')
  let texts: readonly string[] = []
  let checkpointAt = checkpointFrames

  return {
    commit(batches, groupTexts) {
      texts = groupTexts
      const now = performance.now()
      attempt(batches.map((batch) => ({ ...batch, giveUpAt: now + busyMs - batch.waitedMs })))
    },
    close: () => void db.close(),
  }

  function attempt(group: readonly Waiting[]): void {
    try {
      begin.run()
      answer(applyAll(group))
    } catch (error) {
      if (db.inTransaction) db.exec('ROLLBACK')
      recover(group, error)
      return
    }
    checkpoint()
  }

  /** After a group as a whole was rolled back. */
  function recover(group: readonly Waiting[], error: unknown): void {
    const trouble = troubleOf(error)
    if (trouble === 'busy') waitForLock(group)
    else if (trouble === 'failed') fatal(failureOf(error, path))
    // What fails at the commit may be the fault of one batch: a large one where the disk is nearly full.
    else if (group.length > 1) for (const batch of group) attempt([batch])
    else answer(group.map(({ id }) => ({ id, failure: failureOf(error, path) })))
  }

  /** Polls instead of blocking: the other files of this thread go on. */
  function waitForLock(group: readonly Waiting[]): void {
    const now = performance.now()
    const late = group.filter((batch) => batch.giveUpAt <= now)
    const rest = group.filter((batch) => batch.giveUpAt > now)
    const failure: Failure = { code: 'FLT_STORE_BUSY', problem: `${path} is locked` }
    if (late.length > 0) answer(late.map(({ id }) => ({ id, failure })))
    if (rest.length > 0) setTimeout(() => attempt(rest), lockPollMs)
  }

  /** Inside the transaction. A batch that fails leaves no trace; the others stand. */
  function applyAll(group: readonly Waiting[]): readonly BatchResult[] {
    const results: BatchResult[] = []
    for (const batch of group) {
      savepoint.run()
      const result = apply(batch)
      // Some constraint clauses (OR ROLLBACK) end the whole transaction: then the others begin again without this batch.
      if (!db.inTransaction) return [result, ...applyAgain(group.filter((other) => other !== batch))]
      if ('failure' in result) rollbackBatch.run()
      release.run()
      results.push(result)
    }
    commit.run()
    return results
  }

  function applyAgain(group: readonly Waiting[]): readonly BatchResult[] {
    if (group.length === 0) return []
    begin.run()
    return applyAll(group)
  }

  function apply({ id, statements: list }: Waiting): BatchResult {
    const outcomes: WriteOutcome[] = []
    for (const [index, { sql, parameters, expectedRows }] of list.entries()) {
      try {
        const outcome = run(texts[sql] ?? '', parameters)
        if (expectedRows !== undefined && outcome.changes !== expectedRows)
          return { id, failure: unexpectedRows(index, expectedRows, outcome.changes) }
        outcomes.push(outcome)
      } catch (error) {
        const trouble = troubleOf(error)
        if (trouble !== 'conflict' && trouble !== 'mistake') throw error
        return { id, failure: failureOf(error, path, index) }
      }
    }
    return { id, outcomes }
  }

  function run(sql: string, parameters: readonly unknown[]): WriteOutcome {
    const statement = statements.get(sql)
    if (statement.reader) {
      const rows = statement.all(...parameters)
      return { changes: rows.length, rows }
    }
    const { changes } = statement.run(...parameters)
    if (/^\s*(create|alter|drop)\b/i.test(sql)) statements.clear()
    return { changes, rows: [] }
  }

  /** By hand instead of SQLite's own, which would hide a failed fsync. Passive: waits for nobody. */
  function checkpoint(): void {
    try {
      if (framesBehind('NOOP') < checkpointAt) return
      checkpointAt = framesBehind('PASSIVE') + checkpointFrames
    } catch (error) {
      if (troubleOf(error) === 'failed') fatal(failureOf(error, path))
    }
  }

  function framesBehind(mode: 'NOOP' | 'PASSIVE'): number {
    const [row] = db
      .prepare<[], { log: number; checkpointed: number }>(`PRAGMA wal_checkpoint(${mode})`)
      .all()
    return row ? row.log - row.checkpointed : 0
  }
}

function openDurable(path: string): Database.Database {
  const db = new Database(path, { timeout: lockPollMs })
  try {
    const mode = db.pragma('journal_mode = WAL', { simple: true })
    if (mode !== 'wal') throw new Error('the file system does not support a write-ahead log')
    db.pragma('synchronous = FULL')
    db.pragma('foreign_keys = ON')
    db.pragma('wal_autocheckpoint = 0')
    db.pragma('journal_size_limit = 67108864')
    // Statement journals must not depend on room in /tmp.
    db.pragma('temp_store = MEMORY')
    // For chains of hashes: what comes before is only known inside the transaction.
    db.function('sha256_hex', { deterministic: true }, (text) =>
      createHash('sha256').update(String(text)).digest('hex'),
    )
    // Reads the header and the whole schema: what is damaged there is seen now.
    db.prepare('SELECT count(*) FROM sqlite_master').get()
    // A file that can only be read is refused now, not at the first write.
    db.exec('BEGIN IMMEDIATE; ROLLBACK')
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** Statements that would reach beyond their own batch. */
function refuseControl(sql: string): void {
  const word = /^\s*(begin|commit|end|rollback|savepoint|release|attach|detach|pragma|vacuum)\b/i.exec(
    sql,
  )?.[1]
  if (word)
    throw new Error(`${word.toUpperCase()} cannot be part of a batch; each batch is a transaction already`)
}

function unexpectedRows(statement: number, expectedRows: number, changes: number): Failure {
  return {
    code: 'FLT_STORE_CONFLICT',
    problem: `statement ${statement} changed ${changes} rows, not ${expectedRows}`,
    details: { statement, expectedRows, changes },
  }
}

function failureOf(error: unknown, path: string, statement?: number): Failure {
  const problem = problemOf(error)
  switch (troubleOf(error)) {
    case 'conflict':
      return {
        code: 'FLT_STORE_CONFLICT',
        problem,
        details: { ...(statement === undefined ? {} : { statement }), constraint: sqliteCode(error) ?? '' },
      }
    case 'full':
      return { code: 'FLT_STORE_FULL', problem }
    case 'corrupt':
      return { code: 'FLT_STORE_CORRUPT', problem, details: { file: path } }
    case 'failed':
      return { code: 'FLT_STORE_FAILED', problem: `${path}: ${problem}` }
    default:
      return { problem: statement === undefined ? problem : `Statement ${statement} of a batch: ${problem}` }
  }
}

import type { GroupBatch, Parameter, ToWorker } from './messages.ts'
import type { WriteOutcome, WriteStatement } from './store.ts'

/** A batch that waits for its commit. */
export interface PendingBatch {
  readonly statements: readonly WriteStatement[]
  /** `performance.now()` when it was handed in. */
  readonly since: number
  resolve(outcomes: readonly WriteOutcome[]): void
  reject(error: unknown): void
}

/** A group ends after so many statements, so that its commit and its answer stay short. */
const mostStatements = 4_000

/**
 * Moves what waits (in order) into `sent` and answers the message for the worker, or undefined where nothing was left to send.
 * A batch with a parameter that SQLite can't keep is rejected here.
 */
export function encodeGroup(
  file: string,
  waiting: PendingBatch[],
  sent: Map<number, PendingBatch>,
  nextId: () => number,
): ToWorker | undefined {
  const texts = new Map<string, number>()
  const batches: GroupBatch[] = []
  const now = performance.now()
  let count = 0
  let taken = 0
  for (const pending of waiting) {
    if (taken > 0 && count + pending.statements.length > mostStatements) break
    taken += 1
    count += pending.statements.length
    try {
      const statements = pending.statements.map(({ sql, parameters, expectedRows }, index) => ({
        sql: indexOf(texts, sql),
        parameters: parameters.map((value) => storable(value, index)),
        expectedRows,
      }))
      const id = nextId()
      batches.push({ id, waitedMs: now - pending.since, statements })
      sent.set(id, pending)
    } catch (error) {
      pending.reject(error)
    }
  }
  waiting.splice(0, taken)
  return batches.length === 0 ? undefined : { kind: 'group', file, texts: [...texts.keys()], batches }
}

function indexOf(texts: Map<string, number>, sql: string): number {
  const known = texts.get(sql)
  if (known !== undefined) return known
  texts.set(sql, texts.size)
  return texts.size - 1
}

function storable(value: unknown, statement: number): Parameter {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint' || value === null)
    return value
  // A view on a larger buffer (Node's pool) would take all of it along to the worker.
  if (value instanceof Uint8Array)
    return value.byteLength === value.buffer.byteLength ? value : new Uint8Array(value)
  throw new TypeError(
    `Statement ${statement} of a batch has a parameter of type ${typeof value}. Store text, a number, a bigint, bytes or null.`,
  )
}

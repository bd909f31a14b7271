import { timingSafeEqual } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import type { Kysely } from 'kysely'
import type { CoreTables } from '../store/tables.ts'
import { type Checkpoint, openCheckpointFile } from './checkpoints.ts'
import { digestOf, hashOf, macOf, rowKey } from './entry.ts'

export interface AuditReport {
  readonly rows: number
  readonly checkpoints: number
  /** Rows after the newest checkpoint: their contents are proved, that none of them is missing is not. */
  readonly unsigned: number
  /** One sentence per finding; empty for a sound audit. */
  readonly problems: readonly string[]
}

const pageRows = 1_000
const mostProblems = 100

/** Reads the whole audit and finds every row that was edited, removed, inserted or cut off since it was written. */
export async function verifyAudit(options: {
  readonly read: Kysely<CoreTables>
  readonly masterKey: Uint8Array
  readonly checkpoints: string
}): Promise<AuditReport> {
  const { read, masterKey } = options
  const file = await openCheckpointFile(options.checkpoints, masterKey)
  const { checkpoints, problems: fileProblems } = await file.read()
  const problems = [...fileProblems]
  const key = rowKey(masterKey)
  const signed = groupByChain(checkpoints, problems)
  const found = await read.selectFrom('audit_log').select('chain').distinct().execute()
  let rows = 0
  let unsigned = 0
  for (const chain of new Set([...found.map((row) => row.chain), ...signed.keys()])) {
    const marks = signed.get(chain) ?? new Map<number, Checkpoint>()
    const last = await walk(chain, marks)
    for (const { seq, at } of marks.values())
      if (seq > last)
        problems.push(`Chain "${chain}" was cut: row ${seq}, signed at ${at}, is gone; the last is ${last}.`)
    const newest = Math.max(0, ...marks.keys())
    unsigned += Math.max(0, last - newest)
    if (newest === 0 && last > 0)
      problems.push(`Chain "${chain}" has ${last} rows and no checkpoint in ${options.checkpoints}.`)
  }
  return { rows, checkpoints: checkpoints.length, unsigned, problems: problems.slice(0, mostProblems) }

  /** Answers the number of the last row. */
  async function walk(chain: string, marks: ReadonlyMap<number, Checkpoint>): Promise<number> {
    let last = 0
    let previous = ''
    for (;;) {
      const page = await read
        .selectFrom('audit_log')
        .selectAll()
        .where('chain', '=', chain)
        .where('seq', '>', last)
        .orderBy('seq')
        .limit(pageRows)
        .execute()
      for (const row of page) {
        const where = `Row ${row.seq} of chain "${chain}"`
        const digest = digestOf(row)
        if (row.seq !== last + 1)
          problems.push(`Rows ${last + 1} to ${row.seq - 1} of chain "${chain}" are gone.`)
        else if (hashOf(previous, row.seq, digest, row.mac) !== row.hash)
          problems.push(`${where} was changed, or the one before it: its hash does not fit.`)
        if (!isSame(macOf(key, digest), row.mac))
          problems.push(`${where} was changed or not written by this server: its content is not authentic.`)
        const mark = marks.get(row.seq)
        if (mark && mark.hash !== row.hash)
          problems.push(`${where} is not the one that was signed at ${mark.at}.`)
        previous = row.hash
        last = row.seq
        rows += 1
      }
      if (page.length < pageRows) return last
      await turn()
    }
  }
}

function groupByChain(
  checkpoints: readonly Checkpoint[],
  problems: string[],
): ReadonlyMap<string, ReadonlyMap<number, Checkpoint>> {
  const chains = new Map<string, Map<number, Checkpoint>>()
  for (const checkpoint of checkpoints) {
    const { chain, seq, at } = checkpoint
    const marks = chains.get(chain) ?? new Map<number, Checkpoint>()
    chains.set(chain, marks)
    if ((marks.get(seq)?.hash ?? checkpoint.hash) !== checkpoint.hash)
      problems.push(`Row ${seq} of chain "${chain}" was signed with another content at ${at}.`)
    if (!marks.has(seq)) marks.set(seq, checkpoint)
  }
  return chains
}

function isSame(left: string, right: string): boolean {
  return left.length === right.length && timingSafeEqual(Buffer.from(left), Buffer.from(right))
}

import type { OutputChunk, OutputStore, PluginDatabase, WriteStatement } from '@fleetupdate/sdk'
import type { Kysely } from 'kysely'
import { outputError } from './errors.ts'
import type { Piece } from './piece.ts'
import { type Head, placeChunks } from './place-chunks.ts'
import type { OutputTables } from './tables.ts'

/** Told after pieces are durable, in order; `end` is the stored end. */
export type OnStored = (commandId: string, pieces: readonly Piece[], end: number) => void

export interface OwnOutputStore extends OutputStore {
  /** Drops what is remembered of a command whose output was deleted. */
  forget(commandId: string): void
}

interface Job {
  readonly chunks: readonly OutputChunk[]
  resolve(): void
  reject(error: unknown): void
}

interface Lane {
  head: Head | undefined
  busy: boolean
  readonly waiting: Job[]
}

const lanesKept = 10_000

/**
 * Keeps output in the plugin's tables. One write of a command is under way at a time; what comes meanwhile goes into the next
 * one together. The end of each command is remembered, and guarded in the database, so that two writers never interleave.
 */
export function createOutputStore(
  db: PluginDatabase,
  onStored: OnStored,
  now: () => number = Date.now,
): OwnOutputStore {
  const read: Kysely<OutputTables> = db.query
  const statements = prepare(read)
  const lanes = new Map<string, Lane>()

  const laneOf = (commandId: string): Lane => {
    const lane = lanes.get(commandId) ?? { head: undefined, busy: false, waiting: [] }
    lanes.delete(commandId)
    lanes.set(commandId, lane)
    if (lanes.size > lanesKept) {
      const [oldest] = lanes
      if (oldest && !oldest[1].busy) lanes.delete(oldest[0])
    }
    return lane
  }

  const store = async (commandId: string, head: Head, job: readonly OutputChunk[]): Promise<Head> => {
    const endless = job.some((chunk) => chunk.endless)
    const placed = placeChunks(head, job, { endless })
    if ('kind' in placed) throw misfit(commandId, placed)
    const { pieces, head: next } = placed
    if (next.end === head.end) return head
    await db.write([
      statements.head(commandId, next, head.end, now()),
      ...pieces.map((piece) => statements.piece(commandId, piece)),
      ...(next.start > head.start ? [statements.cut(commandId, next.start)] : []),
    ])
    onStored(commandId, pieces, next.end)
    return next
  }

  const storeJobs = async (commandId: string, lane: Lane, jobs: readonly Job[]): Promise<void> => {
    try {
      lane.head ??= await readHead(read, commandId)
      lane.head = await store(
        commandId,
        lane.head,
        jobs.flatMap((job) => job.chunks),
      )
      for (const job of jobs) job.resolve()
    } catch (error) {
      // Read again next time: the write may stand although its answer was lost.
      lane.head = undefined
      // What was put together must not fail together.
      if (jobs.length > 1) for (const job of jobs) await storeJobs(commandId, lane, [job])
      else for (const job of jobs) job.reject(error)
    }
  }

  const drain = async (commandId: string, lane: Lane): Promise<void> => {
    lane.busy = true
    while (lane.waiting.length > 0) await storeJobs(commandId, lane, lane.waiting.splice(0))
    lane.busy = false
  }

  return {
    async append(chunks) {
      const done: Promise<void>[] = []
      for (const [commandId, own] of byCommand(chunks)) {
        const lane = laneOf(commandId)
        done.push(new Promise((resolve, reject) => lane.waiting.push({ chunks: own, resolve, reject })))
        if (!lane.busy) void drain(commandId, lane)
      }
      const failed = (await Promise.allSettled(done)).find((outcome) => outcome.status === 'rejected')
      if (failed) throw failed.reason
    },
    async end(commandId) {
      return (lanes.get(commandId)?.head ?? (await readHead(read, commandId))).end
    },
    forget(commandId) {
      const lane = lanes.get(commandId)
      if (lane && !lane.busy) lanes.delete(commandId)
    },
  }
}

async function readHead(read: Kysely<OutputTables>, commandId: string): Promise<Head> {
  const row = await read
    .selectFrom('outputs')
    .select(['start_offset', 'end_offset', 'bytes'])
    .where('command_id', '=', commandId)
    .executeTakeFirst()
  return { start: row?.start_offset ?? 0, end: row?.end_offset ?? 0, bytes: row?.bytes ?? 0 }
}

function misfit(
  id: string,
  { kind, offset, end }: { kind: 'gap' | 'mismatch'; offset: number; end: number },
): Error {
  return outputError(kind === 'gap' ? 'FLT_OUTPUT_GAP' : 'FLT_OUTPUT_MISMATCH', { id, offset, end })
}

function byCommand(chunks: readonly OutputChunk[]): ReadonlyMap<string, OutputChunk[]> {
  const groups = new Map<string, OutputChunk[]>()
  for (const chunk of chunks) {
    const group = groups.get(chunk.commandId)
    if (group) group.push(chunk)
    else groups.set(chunk.commandId, [chunk])
  }
  return groups
}

interface Statements {
  /** Moves the stored end; stands only where it still is at `from`. */
  head(commandId: string, head: Head, from: number, atMs: number): WriteStatement
  piece(commandId: string, piece: Piece): WriteStatement
  /** Deletes what lies wholly before an offset. */
  cut(commandId: string, before: number): WriteStatement
}

/** The statements of the hot path, compiled once; only their parameters differ. */
function prepare(read: Kysely<OutputTables>): Statements {
  const head = read
    .insertInto('outputs')
    .values({ command_id: '', start_offset: 0, end_offset: 0, bytes: 0, updated_at: 0 })
    .onConflict((conflict) =>
      conflict
        .column('command_id')
        .doUpdateSet((row) => ({
          start_offset: row.ref('excluded.start_offset'),
          end_offset: row.ref('excluded.end_offset'),
          bytes: row.ref('excluded.bytes'),
          updated_at: row.ref('excluded.updated_at'),
        }))
        .where('outputs.end_offset', '=', 0),
    )
    .compile()
  const piece = read
    .insertInto('output_chunks')
    .values({ command_id: '', start_offset: 0, end_offset: 0, text: '' })
    .compile()
  return {
    head: (commandId, { start, end, bytes }, from, atMs) => ({
      sql: head.sql,
      parameters: [commandId, start, end, bytes, atMs, from],
      expectedRows: 1,
    }),
    piece: (commandId, { offset, end, text }) => ({
      sql: piece.sql,
      parameters: [commandId, offset, end, text],
    }),
    cut(commandId, before) {
      const { sql, parameters } = read
        .deleteFrom('output_chunks')
        .where('command_id', '=', commandId)
        .where('start_offset', '<', before)
        .where('end_offset', '<=', before)
        .compile()
      return { sql, parameters }
    },
  }
}

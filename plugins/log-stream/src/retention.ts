import type { CommandView, PluginDatabase } from '@fleetupdate/sdk'
import type { Kysely } from 'kysely'
import type { OutputTables } from './tables.ts'
import { hasEnded } from './watch-output.ts'

export interface Retention {
  readonly db: PluginDatabase
  readonly readCommand: (commandId: string) => Promise<CommandView | undefined>
  /** Called for each command whose output was deleted. */
  readonly forget: (commandId: string) => void
}

export interface RetentionLimits {
  /** Unix milliseconds: what had no output since may go. */
  readonly before: number
  /** Of all stored output together, in bytes; beyond it the oldest goes. */
  readonly totalBytes: number
}

const page = 20

/**
 * Deletes output that is too old, then the oldest until all fits, a few commands at a time. Output of a command that still
 * runs stays: its agent counts on the stored end. Answers how many commands lost their output.
 */
export async function deleteOldOutput(
  retention: Retention,
  { before, totalBytes }: RetentionLimits,
  signal: AbortSignal,
): Promise<number> {
  const read: Kysely<OutputTables> = retention.db.query
  let deleted = 0
  let excess = (await storedBytes(read)) - totalBytes
  let after = { updated_at: -1, command_id: '' }
  while (!signal.aborted) {
    const rows = await oldest(read, after)
    for (const row of rows) {
      if (row.updated_at >= before && excess <= 0) return deleted
      if (!hasEnded(await retention.readCommand(row.command_id))) continue
      await deleteOutput(retention, read, row.command_id)
      excess -= row.bytes
      deleted += 1
    }
    const last = rows.at(-1)
    if (!last) return deleted
    after = last
  }
  return deleted
}

async function storedBytes(read: Kysely<OutputTables>): Promise<number> {
  const row = await read
    .selectFrom('outputs')
    .select((row) => row.fn.sum('bytes').as('bytes'))
    .executeTakeFirst()
  return Number(row?.bytes ?? 0)
}

function oldest(read: Kysely<OutputTables>, after: { updated_at: number; command_id: string }) {
  return read
    .selectFrom('outputs')
    .select(['command_id', 'updated_at', 'bytes'])
    .where((row) =>
      row.or([
        row('updated_at', '>', after.updated_at),
        row.and([row('updated_at', '=', after.updated_at), row('command_id', '>', after.command_id)]),
      ]),
    )
    .orderBy('updated_at')
    .orderBy('command_id')
    .limit(page)
    .execute()
}

async function deleteOutput(
  { db, forget }: Retention,
  read: Kysely<OutputTables>,
  commandId: string,
): Promise<void> {
  const statements = [
    read.deleteFrom('output_chunks').where('command_id', '=', commandId).compile(),
    read.deleteFrom('outputs').where('command_id', '=', commandId).compile(),
  ]
  await db.write(statements.map(({ sql, parameters }) => ({ sql, parameters })))
  forget(commandId)
}

import type { PluginDatabase } from '@fleetupdate/sdk'
import type { Kysely } from 'kysely'
import { type Piece, pieceFrom } from './piece.ts'
import { limits } from './place-chunks.ts'
import type { OutputTables } from './tables.ts'

/** Reads stored output, at most 256 KiB at a time. */
export interface OutputPages {
  /** The stored end, 0 where there is none. */
  end(commandId: string): Promise<number>
  ends(commandIds: readonly string[]): Promise<ReadonlyMap<string, number>>
  /** The next pieces from an offset on, in order, the first cut where the offset lies inside of it; empty at the end. */
  read(commandId: string, from: number): Promise<readonly Piece[]>
}

const pageBytes = 256 * 1024
const pageRows = 512

export function createOutputPages(db: PluginDatabase): OutputPages {
  const read: Kysely<OutputTables> = db.query
  const pieces = (commandId: string) =>
    read
      .selectFrom('output_chunks')
      .select(['start_offset as offset', 'end_offset as end', 'text'])
      .where('command_id', '=', commandId)

  return {
    end: async (commandId) =>
      (
        await read
          .selectFrom('outputs')
          .select('end_offset')
          .where('command_id', '=', commandId)
          .executeTakeFirst()
      )?.end_offset ?? 0,
    async ends(commandIds) {
      if (commandIds.length === 0) return new Map()
      const rows = await read
        .selectFrom('outputs')
        .select(['command_id', 'end_offset'])
        .where('command_id', 'in', commandIds)
        .execute()
      return new Map(rows.map((row) => [row.command_id, row.end_offset]))
    },
    async read(commandId, from) {
      const page = await pieces(commandId)
        .where('start_offset', '>=', from)
        .where('start_offset', '<', from + pageBytes - limits.pieceBytes)
        .orderBy('start_offset')
        .limit(pageRows)
        .execute()
      if (page[0]?.offset === from) return page
      const before = await pieces(commandId)
        .where('start_offset', '<', from)
        .orderBy('start_offset', 'desc')
        .limit(1)
        .executeTakeFirst()
      const rest = before && before.end > from ? pieceFrom(before, from) : undefined
      if (rest && rest.offset < rest.end) return [rest, ...page]
      if (page.length > 0) return page
      return pieces(commandId).where('start_offset', '>=', from).orderBy('start_offset').limit(1).execute()
    },
  }
}

import type { PluginDatabase } from '@fleetupdate/sdk'
import type { Kysely } from 'kysely'
import type { LogTables } from './tables.ts'

export interface Point {
  readonly at: string
  readonly bytes: number
}

export interface History {
  /** Remembers a size and forgets those of 90 days before, both or neither. */
  add(agentId: string, point: Point): Promise<void>
  /** The newest last. */
  read(agentId: string, limit: number): Promise<readonly Point[]>
  forget(agentId: string): Promise<void>
}

const keptMs = 90 * 86_400_000

/** The sizes that agents reported, in the plugin's own database. */
export function createHistory({ query, write }: PluginDatabase): History {
  const db: Kysely<LogTables> = query
  return {
    async add(agentId, { at, bytes }) {
      const tooOld = new Date(Date.parse(at) - keptMs).toISOString()
      await write([
        db.deleteFrom('sizes').where('agentId', '=', agentId).where('at', '<', tooOld).compile(),
        db
          .insertInto('sizes')
          .values({ agentId, at, bytes })
          .onConflict((conflict) => conflict.doNothing())
          .compile(),
      ])
    },
    async read(agentId, limit) {
      const newest = db.selectFrom('sizes').select(['at', 'bytes']).where('agentId', '=', agentId)
      return (await newest.orderBy('at', 'desc').limit(limit).execute()).reverse()
    },
    async forget(agentId) {
      await write([db.deleteFrom('sizes').where('agentId', '=', agentId).compile()])
    },
  }
}

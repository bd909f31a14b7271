import type { PluginDatabase } from '@fleetupdate/sdk'
import type { Kysely } from 'kysely'
import type { RebootState } from './contract.ts'
import type { RebootTables } from './tables.ts'

export interface Boot {
  readonly bootedAt: string
  readonly kernel: string
}

export interface Boots {
  /** Remembers the boot a host runs on. Answers the one before where this one is new; undefined at the first contact, too. */
  seen(agentId: string, state: RebootState): Promise<Boot | undefined>
  /** The newest first, at most 20. */
  list(agentId: string): Promise<readonly Boot[]>
}

const kept = 20

/** The boots of every host, in the plugin's own database. */
export function createBoots({ query, write }: PluginDatabase): Boots {
  const db: Kysely<RebootTables> = query
  const list = (agentId: string) =>
    db
      .selectFrom('boots')
      .select(['bootId', 'bootedAt', 'kernel'])
      .where('agentId', '=', agentId)
      .orderBy('bootedAt', 'desc')
      .limit(kept)
      .execute()
  return {
    list,
    async seen(agentId, { bootId, bootedAt, runningKernel }) {
      const known = await list(agentId)
      if (known.some((boot) => boot.bootId === bootId)) return undefined
      const tooOld = known[kept - 1]?.bootedAt ?? ''
      await write([
        db.deleteFrom('boots').where('agentId', '=', agentId).where('bootedAt', '<=', tooOld).compile(),
        db
          .insertInto('boots')
          .values({ agentId, bootId, bootedAt, kernel: runningKernel })
          .onConflict((conflict) => conflict.doNothing())
          .compile(),
      ])
      return known[0]
    },
  }
}

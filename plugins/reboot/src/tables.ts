import type { Migration } from '@fleetupdate/sdk'

export interface RebootTables {
  /** One row per boot that was seen. Times are ISO 8601. */
  boots: { agentId: string; bootId: string; bootedAt: string; kernel: string }
}

/** The plugin's own tables; append-only. */
export const migrations: readonly Migration[] = [
  {
    name: '0001-boots',
    async up(db) {
      await db.schema
        .createTable('boots')
        .addColumn('agentId', 'text', (column) => column.notNull())
        .addColumn('bootId', 'text', (column) => column.notNull())
        .addColumn('bootedAt', 'text', (column) => column.notNull())
        .addColumn('kernel', 'text', (column) => column.notNull())
        .addPrimaryKeyConstraint('boots_pk', ['agentId', 'bootId'])
        .execute()
      await db.schema.createIndex('boots_by_time').on('boots').columns(['agentId', 'bootedAt']).execute()
    },
  },
]

import type { Migration } from '@fleetupdate/sdk'

export interface LogTables {
  /** One row per observed size. `at` is ISO 8601. */
  sizes: { agentId: string; at: string; bytes: number }
}

/** The plugin's own tables; append-only. */
export const migrations: readonly Migration[] = [
  {
    name: '0001-sizes',
    async up(db) {
      await db.schema
        .createTable('sizes')
        .addColumn('agentId', 'text', (column) => column.notNull())
        .addColumn('at', 'text', (column) => column.notNull())
        .addColumn('bytes', 'bigint', (column) => column.notNull())
        .addPrimaryKeyConstraint('sizes_pk', ['agentId', 'at'])
        .execute()
    },
  },
]

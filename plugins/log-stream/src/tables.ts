import type { Migration } from '@fleetupdate/sdk'

/** Offsets are bytes of UTF-8 since the start of the output; times are Unix milliseconds. */
export interface OutputTables {
  /** One row a command that ever had output. What lies before `start_offset` was dropped from a ring. */
  outputs: {
    command_id: string
    start_offset: number
    end_offset: number
    /** Bytes that are really stored. */
    bytes: number
    updated_at: number
  }
  output_chunks: {
    command_id: string
    start_offset: number
    end_offset: number
    text: string
  }
}

/** The plugin's own tables; append-only. */
export const migrations: readonly Migration[] = [
  {
    name: '0001-output',
    async up(db) {
      await db.schema
        .createTable('outputs')
        .addColumn('command_id', 'text', (column) => column.primaryKey().notNull())
        .addColumn('start_offset', 'bigint', (column) => column.notNull())
        .addColumn('end_offset', 'bigint', (column) => column.notNull())
        .addColumn('bytes', 'bigint', (column) => column.notNull())
        .addColumn('updated_at', 'bigint', (column) => column.notNull())
        .execute()
      await db.schema
        .createIndex('outputs_by_age')
        .on('outputs')
        .columns(['updated_at', 'command_id'])
        .execute()
      await db.schema
        .createTable('output_chunks')
        .addColumn('command_id', 'text', (column) => column.notNull())
        .addColumn('start_offset', 'bigint', (column) => column.notNull())
        .addColumn('end_offset', 'bigint', (column) => column.notNull())
        .addColumn('text', 'text', (column) => column.notNull())
        .addPrimaryKeyConstraint('output_chunks_key', ['command_id', 'start_offset'])
        .execute()
    },
  },
]

import type { Migration } from '@fleetupdate/sdk'

export interface AttemptRow {
  readonly commandId: string
  readonly agentId: string
  readonly epoch: number
  readonly startedAt: string
  readonly deadlineMs: number
  /** Bytes of output that are stored. */
  readonly outputEnd: number
}

/** Attempts that an old agent was given and has not ended. */
export const migrations: readonly Migration[] = [
  {
    name: '0001-attempts',
    up: (db) =>
      db.schema
        .createTable('attempts')
        .addColumn('commandId', 'text', (column) => column.primaryKey())
        .addColumn('agentId', 'text', (column) => column.notNull())
        .addColumn('epoch', 'integer', (column) => column.notNull())
        .addColumn('startedAt', 'text', (column) => column.notNull())
        .addColumn('deadlineMs', 'integer', (column) => column.notNull())
        .addColumn('outputEnd', 'integer', (column) => column.notNull())
        .execute(),
  },
]

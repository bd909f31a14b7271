import type { Migration } from '@fleetupdate/sdk'

/** The history of the audit's table; append only. */
export const auditMigrations: readonly Migration[] = [
  {
    name: '0001-audit',
    async up(db) {
      await db.schema
        .createTable('audit_log')
        .addColumn('chain', 'text', (c) => c.notNull())
        .addColumn('seq', 'integer', (c) => c.notNull())
        .addColumn('at', 'integer', (c) => c.notNull())
        .addColumn('actorType', 'text', (c) => c.notNull())
        .addColumn('actorId', 'text', (c) => c.notNull())
        .addColumn('action', 'text', (c) => c.notNull())
        .addColumn('target', 'text', (c) => c.notNull())
        .addColumn('outcome', 'text', (c) => c.notNull())
        .addColumn('address', 'text', (c) => c.notNull())
        .addColumn('details', 'text', (c) => c.notNull())
        .addColumn('mac', 'text', (c) => c.notNull())
        .addColumn('hash', 'text', (c) => c.notNull())
        .addPrimaryKeyConstraint('audit_log_pk', ['chain', 'seq'])
        .execute()
      await db.schema.createIndex('audit_log_at').on('audit_log').column('at').execute()
    },
  },
  {
    name: '0002-audit-by-actor-action-target',
    async up(db) {
      for (const column of ['actorId', 'action', 'target'])
        await db.schema.createIndex(`audit_log_${column}`).on('audit_log').columns([column, 'at']).execute()
    },
  },
]

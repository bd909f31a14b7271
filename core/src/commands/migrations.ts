import type { Migration } from '@fleetupdate/sdk'

/** The history of the commands' tables; append only. */
export const commandMigrations: readonly Migration[] = [
  {
    name: '0001-commands',
    async up(db) {
      await db.schema
        .createTable('commands')
        .addColumn('id', 'text', (c) => c.primaryKey())
        .addColumn('batchId', 'text')
        .addColumn('agentId', 'text', (c) => c.notNull())
        .addColumn('command', 'text', (c) => c.notNull())
        .addColumn('input', 'text', (c) => c.notNull())
        .addColumn('lane', 'text')
        .addColumn('timeoutSeconds', 'integer', (c) => c.notNull())
        .addColumn('endless', 'integer', (c) => c.notNull())
        .addColumn('precondition', 'text')
        .addColumn('causeType', 'text', (c) => c.notNull())
        .addColumn('causeId', 'text', (c) => c.notNull())
        .addColumn('state', 'text', (c) => c.notNull())
        .addColumn('reason', 'text')
        .addColumn('result', 'text')
        .addColumn('exitCode', 'integer')
        .addColumn('epoch', 'integer', (c) => c.notNull().defaultTo(0))
        .addColumn('generation', 'integer')
        .addColumn('notAfter', 'integer')
        .addColumn('createdAt', 'integer', (c) => c.notNull())
        .addColumn('notBefore', 'integer')
        .addColumn('expiresAt', 'integer', (c) => c.notNull())
        .addColumn('startedAt', 'integer')
        .addColumn('finishedAt', 'integer')
        .addColumn('cancelRequestedAt', 'integer')
        .addColumn('cancelForce', 'integer', (c) => c.notNull().defaultTo(0))
        .addColumn('outputBytes', 'integer')
        .addColumn('outputDropped', 'integer')
        .addColumn('outputSha256', 'text')
        .addColumn('outputStored', 'integer', (c) => c.notNull().defaultTo(1))
        .execute()
      const index = (name: string, columns: string[]) =>
        db.schema.createIndex(name).on('commands').columns(columns).execute()
      await index('commands_agent', ['agentId', 'id'])
      await index('commands_batch', ['batchId', 'id'])
      await index('commands_batch_state', ['batchId', 'state'])
      await index('commands_state', ['state', 'id'])
      await index('commands_finished', ['endless', 'finishedAt'])
      await db.schema
        .createTable('batches')
        .addColumn('id', 'text', (c) => c.primaryKey())
        .addColumn('command', 'text', (c) => c.notNull())
        .addColumn('total', 'integer', (c) => c.notNull())
        .addColumn('causeType', 'text', (c) => c.notNull())
        .addColumn('causeId', 'text', (c) => c.notNull())
        .addColumn('createdAt', 'integer', (c) => c.notNull())
        .execute()
      await db.schema
        .createTable('idempotency_keys')
        .addColumn('subject', 'text', (c) => c.notNull())
        .addColumn('key', 'text', (c) => c.notNull())
        .addColumn('requestHash', 'text', (c) => c.notNull())
        .addColumn('commandId', 'text')
        .addColumn('batchId', 'text')
        .addColumn('createdAt', 'integer', (c) => c.notNull())
        .addPrimaryKeyConstraint('idempotency_keys_pk', ['subject', 'key'])
        .execute()
      await db.schema
        .createIndex('idempotency_keys_created')
        .on('idempotency_keys')
        .column('createdAt')
        .execute()
    },
  },
]

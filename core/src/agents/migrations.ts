import type { Migration } from '@fleetupdate/sdk'

/** The history of the agents' tables; append only. */
export const agentMigrations: readonly Migration[] = [
  {
    name: '0001-agents',
    async up(db) {
      await db.schema
        .createTable('agents')
        .addColumn('id', 'text', (c) => c.primaryKey())
        .addColumn('enrolledAt', 'integer', (c) => c.notNull())
        .addColumn('generation', 'integer', (c) => c.notNull())
        .addColumn('revokedAt', 'integer')
        .addColumn('removedAt', 'integer')
        .addColumn('online', 'integer', (c) => c.notNull().defaultTo(0))
        .addColumn('onlineChangedAt', 'integer', (c) => c.notNull())
        .addColumn('lastSeenAt', 'integer')
        .addColumn('agentVersion', 'text')
        .addColumn('bootId', 'text')
        .addColumn('executors', 'text', (c) => c.notNull().defaultTo('[]'))
        .addColumn('apps', 'text', (c) => c.notNull().defaultTo('[]'))
        .addColumn('factRevision', 'integer', (c) => c.notNull().defaultTo(0))
        .execute()
      await db.schema.createIndex('agents_online').on('agents').column('online').execute()
      await db.schema
        .createTable('agent_keys')
        .addColumn('agentId', 'text', (c) => c.primaryKey())
        .addColumn('kid', 'text', (c) => c.notNull())
        .addColumn('sealedRoot', 'blob', (c) => c.notNull())
        .addColumn('enrolmentId', 'text', (c) => c.notNull())
        .addColumn('agentConfirmation', 'text', (c) => c.notNull())
        .addColumn('serverConfirmation', 'text', (c) => c.notNull())
        .execute()
      await db.schema
        .createTable('agent_sessions')
        .addColumn('agentId', 'text', (c) => c.primaryKey())
        .addColumn('sessionEpoch', 'integer', (c) => c.notNull())
        .addColumn('instanceId', 'text', (c) => c.notNull())
        .execute()
      await db.schema
        .createTable('agent_nonces')
        .addColumn('agentId', 'text', (c) => c.notNull())
        .addColumn('nonce', 'text', (c) => c.notNull())
        .addColumn('usedAt', 'integer', (c) => c.notNull())
        .addPrimaryKeyConstraint('agent_nonces_pk', ['agentId', 'nonce'])
        .execute()
      await db.schema.createIndex('agent_nonces_used').on('agent_nonces').column('usedAt').execute()
      await db.schema
        .createTable('agent_facts')
        .addColumn('agentId', 'text', (c) => c.notNull())
        .addColumn('plugin', 'text', (c) => c.notNull())
        .addColumn('fact', 'text', (c) => c.notNull())
        .addColumn('value', 'text')
        .addColumn('error', 'text')
        .addColumn('observedAt', 'integer', (c) => c.notNull())
        .addColumn('revision', 'integer', (c) => c.notNull())
        .addColumn('checked', 'integer', (c) => c.notNull())
        .addPrimaryKeyConstraint('agent_facts_pk', ['agentId', 'plugin', 'fact'])
        .execute()
      await db.schema
        .createIndex('agent_facts_plugin')
        .on('agent_facts')
        .columns(['plugin', 'agentId'])
        .execute()
      await db.schema
        .createTable('agent_facets')
        .addColumn('agentId', 'text', (c) => c.notNull())
        .addColumn('name', 'text', (c) => c.notNull())
        .addColumn('kind', 'text', (c) => c.notNull())
        .addColumn('text', 'text')
        .addColumn('number', 'real')
        .addPrimaryKeyConstraint('agent_facets_pk', ['agentId', 'name'])
        .execute()
      await db.schema
        .createIndex('agent_facets_number')
        .on('agent_facets')
        .columns(['name', 'number', 'agentId'])
        .execute()
      await db.schema
        .createIndex('agent_facets_text')
        .on('agent_facets')
        .columns(['name', 'text', 'agentId'])
        .execute()
      await db.schema
        .createTable('enrolment_tokens')
        .addColumn('id', 'text', (c) => c.primaryKey())
        .addColumn('agentId', 'text')
        .addColumn('createdAt', 'integer', (c) => c.notNull())
        .addColumn('expiresAt', 'integer', (c) => c.notNull())
        .addColumn('usedAt', 'integer')
        .execute()
      await db.schema.createIndex('enrolment_tokens_agent').on('enrolment_tokens').column('agentId').execute()
      await db.schema
        .createTable('enrolment_token_secrets')
        .addColumn('id', 'text', (c) => c.primaryKey())
        .addColumn('sealed', 'blob', (c) => c.notNull())
        .execute()
    },
  },
  {
    name: '0002-enrolment-token-terms',
    async up(db) {
      const table = db.schema.alterTable('enrolment_tokens')
      await table.addColumn('uses', 'integer', (c) => c.notNull().defaultTo(1)).execute()
      await table.addColumn('used', 'integer', (c) => c.notNull().defaultTo(0)).execute()
      await table.addColumn('createdBy', 'text', (c) => c.notNull().defaultTo('')).execute()
      await table.addColumn('note', 'text', (c) => c.notNull().defaultTo('')).execute()
    },
  },
  {
    name: '0003-trust',
    async up(db) {
      const agents = db.schema.alterTable('agents')
      await agents.addColumn('quarantinedAt', 'integer').execute()
      await agents.addColumn('quarantineReason', 'text').execute()
      await agents.addColumn('rotateWantedAt', 'integer').execute()
      const keys = db.schema.alterTable('agent_keys')
      await keys.addColumn('createdAt', 'integer', (c) => c.notNull().defaultTo(0)).execute()
      await db.schema
        .createTable('agent_next_keys')
        .addColumn('agentId', 'text', (c) => c.primaryKey())
        .addColumn('kid', 'text', (c) => c.notNull())
        .addColumn('sealedRoot', 'blob', (c) => c.notNull())
        .addColumn('confirmation', 'text', (c) => c.notNull())
        .addColumn('createdAt', 'integer', (c) => c.notNull())
        .execute()
      const sessions = db.schema.alterTable('agent_sessions')
      await sessions.addColumn('ticket', 'integer', (c) => c.notNull().defaultTo(0)).execute()
      await sessions.addColumn('ticketNonce', 'text', (c) => c.notNull().defaultTo('')).execute()
      const tokens = db.schema.alterTable('enrolment_tokens')
      await tokens.addColumn('idPattern', 'text').execute()
      await tokens.addColumn('approval', 'integer', (c) => c.notNull().defaultTo(0)).execute()
      await db.schema
        .createTable('enrolment_requests')
        .addColumn('id', 'text', (c) => c.primaryKey())
        .addColumn('agentId', 'text', (c) => c.notNull())
        .addColumn('secretId', 'text', (c) => c.notNull())
        .addColumn('generation', 'integer', (c) => c.notNull())
        .addColumn('address', 'text', (c) => c.notNull())
        .addColumn('about', 'text', (c) => c.notNull().defaultTo('{}'))
        .addColumn('state', 'text', (c) => c.notNull())
        .addColumn('createdAt', 'integer', (c) => c.notNull())
        .addColumn('expiresAt', 'integer', (c) => c.notNull())
        .addColumn('decidedAt', 'integer')
        .addColumn('decidedBy', 'text')
        .execute()
      await db.schema
        .createIndex('enrolment_requests_state')
        .on('enrolment_requests')
        .columns(['state', 'createdAt'])
        .execute()
      await db.schema
        .createTable('enrolment_request_keys')
        .addColumn('id', 'text', (c) => c.primaryKey())
        .addColumn('kid', 'text', (c) => c.notNull())
        .addColumn('sealedRoot', 'blob', (c) => c.notNull())
        .addColumn('agentConfirmation', 'text', (c) => c.notNull())
        .addColumn('serverConfirmation', 'text', (c) => c.notNull())
        .execute()
    },
  },
]

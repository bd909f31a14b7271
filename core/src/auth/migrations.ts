import type { Migration } from '@fleetupdate/sdk'

/** The tables of people, sessions and secrets in core.db. */
export const peopleMigrations: readonly Migration[] = [
  {
    name: '0001-people',
    async up(db) {
      await db.schema
        .createTable('users')
        .addColumn('id', 'text', (c) => c.primaryKey().notNull())
        .addColumn('name', 'text', (c) => c.notNull().unique())
        .addColumn('role', 'text', (c) => c.notNull())
        .addColumn('createdAt', 'integer', (c) => c.notNull())
        .execute()
      await db.schema
        .createTable('user_secrets')
        .addColumn('userId', 'text', (c) =>
          c.primaryKey().notNull().references('users.id').onDelete('cascade'),
        )
        .addColumn('passwordHash', 'text', (c) => c.notNull())
        .addColumn('changedAt', 'integer', (c) => c.notNull())
        .execute()
      await db.schema
        .createTable('sessions')
        .addColumn('id', 'text', (c) => c.primaryKey().notNull())
        .addColumn('userId', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
        .addColumn('kind', 'text', (c) => c.notNull())
        .addColumn('createdAt', 'integer', (c) => c.notNull())
        .addColumn('expiresAt', 'integer', (c) => c.notNull())
        .addColumn('endedAt', 'integer')
        .execute()
      await db.schema.createIndex('sessions_by_user').on('sessions').column('userId').execute()
      await db.schema.createIndex('sessions_by_expiry').on('sessions').column('expiresAt').execute()
      await db.schema
        .createTable('login_backoff')
        .addColumn('key', 'text', (c) => c.primaryKey().notNull())
        .addColumn('failures', 'integer', (c) => c.notNull())
        .addColumn('nextAllowedAt', 'integer', (c) => c.notNull())
        .addColumn('windowAt', 'integer', (c) => c.notNull())
        .addColumn('evaluated', 'integer', (c) => c.notNull())
        .addColumn('triedAt', 'integer', (c) => c.notNull())
        .addColumn('version', 'integer', (c) => c.notNull())
        .execute()
      await db.schema.createIndex('login_backoff_by_age').on('login_backoff').column('triedAt').execute()
      await db.schema
        .createTable('server_secrets')
        .addColumn('name', 'text', (c) => c.primaryKey().notNull())
        .addColumn('sealed', 'blob', (c) => c.notNull())
        .execute()
    },
  },
  {
    name: '0002-api-tokens',
    async up(db) {
      await db.schema
        .createTable('api_tokens')
        .addColumn('id', 'text', (c) => c.primaryKey().notNull())
        .addColumn('userId', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
        .addColumn('name', 'text', (c) => c.notNull())
        .addColumn('role', 'text', (c) => c.notNull())
        .addColumn('createdAt', 'integer', (c) => c.notNull())
        .addColumn('expiresAt', 'integer', (c) => c.notNull())
        .addColumn('endedAt', 'integer')
        .execute()
      await db.schema.createIndex('api_tokens_by_user').on('api_tokens').column('userId').execute()
      await db.schema
        .createTable('api_token_secrets')
        .addColumn('tokenId', 'text', (c) =>
          c.primaryKey().notNull().references('api_tokens.id').onDelete('cascade'),
        )
        .addColumn('hash', 'blob', (c) => c.notNull())
        .execute()
    },
  },
  {
    name: '0003-second-factor',
    async up(db) {
      await db.schema
        .createTable('user_totp')
        .addColumn('userId', 'text', (c) =>
          c.primaryKey().notNull().references('users.id').onDelete('cascade'),
        )
        .addColumn('sealed', 'blob', (c) => c.notNull())
        .addColumn('confirmedAt', 'integer')
        .addColumn('lastStep', 'integer', (c) => c.notNull())
        .execute()
      await db.schema
        .createTable('user_recovery_codes')
        .addColumn('userId', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
        .addColumn('hash', 'text', (c) => c.notNull())
        .addPrimaryKeyConstraint('user_recovery_codes_pk', ['userId', 'hash'])
        .execute()
    },
  },
  {
    name: '0004-session-origin-and-disabled-people',
    async up(db) {
      await db.schema
        .alterTable('sessions')
        .addColumn('address', 'text', (c) => c.notNull().defaultTo(''))
        .execute()
      await db.schema
        .alterTable('sessions')
        .addColumn('client', 'text', (c) => c.notNull().defaultTo(''))
        .execute()
      await db.schema.alterTable('users').addColumn('disabledAt', 'integer').execute()
    },
  },
]

import type { Migration } from '@fleetupdate/sdk'

export interface PluginTables {
  plugin_settings: { plugin: string; key: string; value: string }
  plugin_states: { id: string; disabledAt: number | null }
}

export const pluginMigrations: readonly Migration[] = [
  {
    name: '0001-plugins',
    async up(db) {
      await db.schema
        .createTable('plugin_settings')
        .addColumn('plugin', 'text', (c) => c.notNull())
        .addColumn('key', 'text', (c) => c.notNull())
        .addColumn('value', 'text', (c) => c.notNull())
        .addPrimaryKeyConstraint('plugin_settings_pk', ['plugin', 'key'])
        .execute()
      await db.schema
        .createTable('plugin_states')
        .addColumn('id', 'text', (c) => c.primaryKey())
        .addColumn('disabledAt', 'integer')
        .execute()
    },
  },
]

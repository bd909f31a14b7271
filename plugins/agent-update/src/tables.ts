import type { Migration } from '@fleetupdate/sdk'

export type RolloutState = 'running' | 'halted' | 'done'

export interface RolloutTables {
  /** Times are ISO 8601. `stage` counts from 0. */
  rollouts: {
    id: string
    version: string
    state: RolloutState
    reason: string | null
    stage: number
    stageStartedAt: string
    stageMinutes: number
    createdAt: string
    createdBy: string
  }
  /** `tries` makes a new command of a second try. */
  rollout_agents: {
    rolloutId: string
    agentId: string
    stage: number
    commandId: string | null
    tries: number
    done: number
  }
}

/** The plugin's own tables; append-only. */
export const migrations: readonly Migration[] = [
  {
    name: '0001-rollouts',
    async up(db) {
      await db.schema
        .createTable('rollouts')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('version', 'text', (column) => column.notNull())
        .addColumn('state', 'text', (column) => column.notNull())
        .addColumn('reason', 'text')
        .addColumn('stage', 'integer', (column) => column.notNull())
        .addColumn('stageStartedAt', 'text', (column) => column.notNull())
        .addColumn('stageMinutes', 'integer', (column) => column.notNull())
        .addColumn('createdAt', 'text', (column) => column.notNull())
        .addColumn('createdBy', 'text', (column) => column.notNull())
        .execute()
      await db.schema
        .createTable('rollout_agents')
        .addColumn('rolloutId', 'text', (column) => column.notNull())
        .addColumn('agentId', 'text', (column) => column.notNull())
        .addColumn('stage', 'integer', (column) => column.notNull())
        .addColumn('commandId', 'text')
        .addColumn('tries', 'integer', (column) => column.notNull())
        .addColumn('done', 'integer', (column) => column.notNull())
        .addPrimaryKeyConstraint('rollout_agents_pk', ['rolloutId', 'agentId'])
        .execute()
    },
  },
]

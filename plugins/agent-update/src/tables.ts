import type { Migration } from '@fleetupdate/sdk'

/** `halted` can go on; `done` and `stopped` are ends. */
export type RolloutState = 'running' | 'halted' | 'done' | 'stopped'
/** To the offered release, or from a release back to the one before it. */
export type RolloutKind = 'update' | 'back'

export interface RolloutTables {
  /** Times are ISO 8601. `stage` counts from 0. `version`: the one to come to or, of `back`, the one to leave. `stages`: the sizes asked for, JSON. */
  rollouts: {
    id: string
    kind: RolloutKind
    version: string
    state: RolloutState
    reason: string | null
    stage: number
    stageStartedAt: string
    stageMinutes: number
    createdAt: string
    createdBy: string
    stages: string | null
    haltedBy: string | null
    endedAt: string | null
  }
  /** `tries` makes a new command of a second try. `failure`: the state its command ended in, or `late`; `problem` the sentence. */
  rollout_agents: {
    rolloutId: string
    agentId: string
    stage: number
    commandId: string | null
    tries: number
    done: number
    failure: string | null
    problem: string | null
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
  {
    name: '0002-outcomes',
    async up(db) {
      await db.schema
        .alterTable('rollouts')
        .addColumn('kind', 'text', (column) => column.notNull().defaultTo('update'))
        .execute()
      for (const name of ['stages', 'haltedBy', 'endedAt'])
        await db.schema.alterTable('rollouts').addColumn(name, 'text').execute()
      for (const name of ['failure', 'problem'])
        await db.schema.alterTable('rollout_agents').addColumn(name, 'text').execute()
    },
  },
]

import type { PluginDatabase } from '@fleetupdate/sdk'
import type { Kysely, Selectable } from 'kysely'
import type { RolloutTables } from './tables.ts'

export type Rollout = Selectable<RolloutTables['rollouts']>
export type RolloutAgent = Selectable<RolloutTables['rollout_agents']>

/** How many agents of a stage are where. */
export interface StageCount {
  readonly stage: number
  readonly agents: number
  readonly done: number
  readonly failed: number
  /** Asked, and not over yet. */
  readonly busy: number
}

/** What is kept about rollouts. Each write is durable when it resolves. */
export interface RolloutStore {
  add(rollout: Rollout, agents: readonly RolloutAgent[]): Promise<void>
  set(id: string, values: Partial<Rollout>): Promise<void>
  setAgent(agent: Pick<RolloutAgent, 'rolloutId' | 'agentId'>, values: Partial<RolloutAgent>): Promise<void>
  /** Whoever failed is asked once more, and the stage's time begins anew; nothing where it is not halted. */
  reopen(id: string, startedAt: string): Promise<void>
  read(id: string): Promise<Rollout | undefined>
  newest(limit: number): Promise<readonly Rollout[]>
  running(): Promise<readonly Rollout[]>
  agents(id: string): Promise<readonly RolloutAgent[]>
  /** Of one stage, those whose end is not known. */
  open(id: string, stage: number): Promise<readonly RolloutAgent[]>
  /** The same, of those who were asked. */
  asked(id: string, stage: number, limit: number): Promise<readonly RolloutAgent[]>
  failed(id: string, limit: number): Promise<readonly RolloutAgent[]>
  /** By rollout, its stages in order. */
  counts(ids: readonly string[]): Promise<ReadonlyMap<string, readonly StageCount[]>>
}

export function createRolloutStore({ query, write }: PluginDatabase): RolloutStore {
  const db: Kysely<RolloutTables> = query
  const members = () => db.selectFrom('rollout_agents').selectAll()
  const openIn = (id: string, stage: number) =>
    members()
      .where('rolloutId', '=', id)
      .where('stage', '=', stage)
      .where('done', '=', 0)
      .where('failure', 'is', null)
      .orderBy('agentId')
  return {
    async add(rollout, agents) {
      await write([
        db.insertInto('rollouts').values(rollout).compile(),
        ...agents.map((agent) => db.insertInto('rollout_agents').values(agent).compile()),
      ])
    },
    async set(id, values) {
      await write([db.updateTable('rollouts').set(values).where('id', '=', id).compile()])
    },
    async setAgent({ rolloutId, agentId }, values) {
      await write([
        db
          .updateTable('rollout_agents')
          .set(values)
          .where('rolloutId', '=', rolloutId)
          .where('agentId', '=', agentId)
          .compile(),
      ])
    },
    async reopen(id, stageStartedAt) {
      const state = { state: 'running', reason: null, haltedBy: null, endedAt: null, stageStartedAt } as const
      await write([
        db
          .updateTable('rollout_agents')
          .set(({ eb }) => ({ commandId: null, failure: null, problem: null, tries: eb('tries', '+', 1) }))
          .where('rolloutId', '=', id)
          .where('failure', 'is not', null)
          .compile(),
        {
          ...db
            .updateTable('rollouts')
            .set(state)
            .where('id', '=', id)
            .where('state', '=', 'halted')
            .compile(),
          expectedRows: 1,
        },
      ])
    },
    read: (id) => db.selectFrom('rollouts').selectAll().where('id', '=', id).executeTakeFirst(),
    newest: (limit) =>
      db.selectFrom('rollouts').selectAll().orderBy('createdAt', 'desc').limit(limit).execute(),
    running: () => db.selectFrom('rollouts').selectAll().where('state', '=', 'running').execute(),
    agents: (id) => members().where('rolloutId', '=', id).orderBy('stage').orderBy('agentId').execute(),
    open: (id, stage) => openIn(id, stage).execute(),
    asked: (id, stage, limit) => openIn(id, stage).where('commandId', 'is not', null).limit(limit).execute(),
    failed: (id, limit) =>
      members()
        .where('rolloutId', '=', id)
        .where('failure', 'is not', null)
        .orderBy('agentId')
        .limit(limit)
        .execute(),
    async counts(ids) {
      if (ids.length === 0) return new Map()
      const rows = await db
        .selectFrom('rollout_agents')
        .select(({ fn, eb }) => [
          'rolloutId',
          'stage',
          fn.countAll<number>().as('agents'),
          fn.sum<number>('done').as('done'),
          // Counted is what is not null.
          fn.count<number>('failure').as('failed'),
          fn
            .count<number>(
              eb
                .case()
                .when(eb.and([eb('done', '=', 0), eb('failure', 'is', null)]))
                .then(eb.ref('commandId'))
                .end(),
            )
            .as('busy'),
        ])
        .where('rolloutId', 'in', [...ids])
        .groupBy(['rolloutId', 'stage'])
        .orderBy('stage')
        .execute()
      const found = new Map<string, StageCount[]>()
      for (const { rolloutId, ...count } of rows) {
        const stages = found.get(rolloutId) ?? []
        found.set(rolloutId, stages)
        stages.push(count)
      }
      return found
    },
  }
}

import { randomUUID } from 'node:crypto'
import type { PluginContext } from '@fleetupdate/sdk'
import type { Kysely, Selectable } from 'kysely'
import type { agentUpdate } from './contract.ts'
import { type StageSize, stagesOf } from './stages.ts'
import type { RolloutState, RolloutTables } from './tables.ts'

export type Rollout = Selectable<RolloutTables['rollouts']>
export type RolloutAgent = Selectable<RolloutTables['rollout_agents']>

export interface RolloutView extends Rollout {
  readonly agents: readonly Omit<RolloutAgent, 'rolloutId'>[]
}

export interface RolloutTerms {
  readonly version: string
  /** In the order they shall be updated. */
  readonly agents: readonly string[]
  readonly stages: readonly StageSize[]
  readonly stageMinutes: number
  readonly by: string
}

/** Updates of many agents, stage by stage, in the plugin's own database: a restart of the server goes on where it was. */
export interface Rollouts {
  create(terms: RolloutTerms): Promise<RolloutView>
  list(): Promise<readonly Rollout[]>
  read(id: string): Promise<RolloutView | undefined>
  /** Whether one is under way. */
  isRunning(): Promise<boolean>
  halt(id: string, reason: string): Promise<void>
  /** Goes on with the stage that halted; agents that failed get a new command. */
  resume(id: string): Promise<void>
  /** Looks at every running rollout and takes the next step where one is due. Safe to call at any time. */
  advance(): Promise<void>
}

const shown = 50
const ended: ReadonlySet<string> = new Set([
  'succeeded',
  'failed',
  'cancelled',
  'timed_out',
  'interrupted',
  'expired',
  'rejected',
  'lost',
])

export function createRollouts({
  db: database,
  agents: registry,
  commands,
  notify,
}: Pick<PluginContext<typeof agentUpdate>, 'db' | 'agents' | 'commands' | 'notify'>): Rollouts {
  const db: Kysely<RolloutTables> = database.query
  const now = (): string => new Date().toISOString()

  const agentsOf = (id: string) =>
    db
      .selectFrom('rollout_agents')
      .selectAll()
      .where('rolloutId', '=', id)
      .orderBy('stage')
      .orderBy('agentId')
      .execute()
  const set = async (id: string, values: Partial<Rollout>): Promise<void> => {
    await database.write([db.updateTable('rollouts').set(values).where('id', '=', id).compile()])
  }
  const setAgent = async (agent: RolloutAgent, values: Partial<RolloutAgent>): Promise<void> => {
    const { rolloutId, agentId } = agent
    await database.write([
      db
        .updateTable('rollout_agents')
        .set(values)
        .where('rolloutId', '=', rolloutId)
        .where('agentId', '=', agentId)
        .compile(),
    ])
  }
  const end = async ({ id, version }: Rollout, state: RolloutState, reason: string | null): Promise<void> => {
    await set(id, { state, reason })
    if (state === 'done') notify({ level: 'info', title: `All agents of the rollout run ${version}` })
    else notify({ level: 'critical', title: `The rollout of ${version} halted`, text: reason ?? '' })
  }

  /** Why this agent stops the rollout; `waiting`, or `done` where it checked in with the new version. */
  const look = async (
    rollout: Rollout,
    agent: RolloutAgent,
  ): Promise<'waiting' | 'done' | { reason: string }> => {
    const { version, stageMinutes, stageStartedAt, id } = rollout
    const expiresAt = new Date(Date.parse(stageStartedAt) + stageMinutes * 60_000).toISOString()
    if (agent.commandId === null) {
      // The same key for the same try: a crash between the two writes makes no second command.
      const idempotencyKey = `rollout-${id}-${agent.agentId}-${agent.tries}`
      const command = await commands.submit(
        agent.agentId,
        'install',
        { version },
        { idempotencyKey, expiresAt },
      )
      await setAgent(agent, { commandId: command.id })
      return 'waiting'
    }
    const command = await commands.read(agent.commandId)
    const isOver = Date.now() > Date.parse(expiresAt)
    if (command && ended.has(command.state) && command.state !== 'succeeded')
      return { reason: `${agent.agentId}: ${command.reason ?? command.state}` }
    if (command?.state === 'succeeded') {
      const view = await registry.get(agent.agentId)
      if (view?.status === 'online' && view.agentVersion === version) return 'done'
    }
    return isOver ? { reason: `${agent.agentId} did not come back with ${version} in time` } : 'waiting'
  }

  const step = async (rollout: Rollout): Promise<void> => {
    const all = await agentsOf(rollout.id)
    const due = all.filter(({ stage, done }) => stage === rollout.stage && done === 0)
    let waiting = 0
    for (const agent of due) {
      const found = await look(rollout, agent).catch((error: unknown) => ({
        reason: `${agent.agentId}: ${error instanceof Error ? error.message : String(error)}`,
      }))
      if (found === 'waiting') waiting += 1
      else if (found === 'done') await setAgent(agent, { done: 1 })
      else return end(rollout, 'halted', found.reason)
    }
    if (waiting > 0) return
    const last = Math.max(...all.map(({ stage }) => stage))
    if (rollout.stage >= last) return end(rollout, 'done', null)
    await set(rollout.id, { stage: rollout.stage + 1, stageStartedAt: now() })
    return step({ ...rollout, stage: rollout.stage + 1, stageStartedAt: now() })
  }

  let turn: Promise<void> = Promise.resolve()
  const running = () => db.selectFrom('rollouts').selectAll().where('state', '=', 'running').execute()
  const read = async (id: string): Promise<RolloutView | undefined> => {
    const found = await db.selectFrom('rollouts').selectAll().where('id', '=', id).executeTakeFirst()
    if (!found) return undefined
    return { ...found, agents: (await agentsOf(id)).map(({ rolloutId: _, ...agent }) => agent) }
  }
  const advance = (): Promise<void> => {
    turn = turn
      .catch(() => undefined)
      .then(async () => {
        for (const rollout of await running()) await step(rollout)
      })
    return turn
  }

  return {
    read,
    advance,
    isRunning: async () => (await running()).length > 0,
    list: () => db.selectFrom('rollouts').selectAll().orderBy('createdAt', 'desc').limit(shown).execute(),
    async create({ version, agents, stages, stageMinutes, by }) {
      const id = randomUUID()
      const stageOf = stagesOf(agents, stages)
      const row = {
        ...{ id, version, state: 'running' as const, reason: null, stage: 0, stageStartedAt: now() },
        ...{ stageMinutes, createdAt: now(), createdBy: by },
      }
      const members = agents.map((agentId, index) => ({
        ...{ rolloutId: id, agentId, stage: stageOf[index] ?? 0, commandId: null, tries: 0, done: 0 },
      }))
      await database.write([
        db.insertInto('rollouts').values(row).compile(),
        ...members.map((member) => db.insertInto('rollout_agents').values(member).compile()),
      ])
      await advance()
      const made = await read(id)
      if (!made) throw new Error('The rollout was not kept.')
      return made
    },
    async halt(id, reason) {
      const found = await read(id)
      if (found?.state === 'running') await end(found, 'halted', reason)
    },
    async resume(id) {
      const agents = (await agentsOf(id)).filter(({ done }) => done === 0)
      await database.write([
        ...agents.map(({ agentId, tries }) =>
          db
            .updateTable('rollout_agents')
            .set({ commandId: null, tries: tries + 1 })
            .where('rolloutId', '=', id)
            .where('agentId', '=', agentId)
            .compile(),
        ),
        db
          .updateTable('rollouts')
          .set({ state: 'running', reason: null, stageStartedAt: now() })
          .where('id', '=', id)
          .where('state', '=', 'halted')
          .compile(),
      ])
      await advance()
    },
  }
}

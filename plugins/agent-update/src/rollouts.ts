import { randomUUID } from 'node:crypto'
import type { PluginContext } from '@fleetupdate/sdk'
import { type AgentStep, ask, look } from './agent-step.ts'
import type { agentUpdate } from './contract.ts'
import { rolloutError } from './errors.ts'
import { createRolloutStore, type Rollout, type RolloutAgent, type RolloutStore } from './rollout-store.ts'
import { type StageSize, stagesOf } from './stages.ts'
import type { RolloutKind } from './tables.ts'

export interface RolloutView extends Rollout {
  readonly agents: readonly Omit<RolloutAgent, 'rolloutId'>[]
}

export interface RolloutTerms {
  readonly kind?: RolloutKind
  /** To come to; of `back`: to leave. */
  readonly version: string
  /** In the order they shall be asked. */
  readonly agents: readonly string[]
  readonly stages: readonly StageSize[]
  readonly stageMinutes: number
  readonly by: string
}

/** Updates of many agents, stage by stage, in the plugin's own database: a restart of the server goes on where it was. */
export interface Rollouts {
  readonly store: RolloutStore
  /** Throws FLT_ROLLOUT_RUNNING where one is under way. */
  create(terms: RolloutTerms): Promise<RolloutView>
  read(id: string): Promise<RolloutView | undefined>
  /** Nobody else is asked; those who were go on. */
  halt(id: string, by: string): Promise<void>
  /** The same for good. */
  stop(id: string): Promise<void>
  /** Goes on with the stage that halted; agents that failed get a new command. Throws FLT_ROLLOUT_RUNNING, and FLT_ROLLOUT_ENDED for what is not halted. */
  resume(id: string): Promise<void>
  /** Looks at the rollout under way, takes the next step where one is due, and follows to their end those a halt left behind. Safe to call at any time. */
  advance(): Promise<void>
  /** Called with the id whenever something about a rollout changed. Returns what ends it. */
  onChange(listener: (id: string) => void): () => void
}

export function createRollouts({
  db,
  notify,
  ...services
}: Pick<PluginContext<typeof agentUpdate>, 'db' | 'agents' | 'commands' | 'notify'>): Rollouts {
  const store = createRolloutStore(db)
  const interrupted = new Set<string>()
  const listeners = new Set<(id: string) => void>()
  const changed = (id: string): void => {
    for (const listener of listeners) listener(id)
  }
  const now = (): string => new Date().toISOString()

  const end = async ({ id, version, kind }: Rollout, reason: string | null): Promise<void> => {
    const name = kind === 'back' ? `The way back from ${version}` : `The rollout of ${version}`
    await store.set(id, { state: reason === null ? 'done' : 'halted', reason, endedAt: now() })
    if (reason !== null) notify({ level: 'critical', title: `${name} halted`, text: reason })
    else if (kind === 'back') notify({ level: 'info', title: `${name} is done` })
    else notify({ level: 'info', title: `All agents of the rollout run ${version}` })
    changed(id)
  }

  const examine = async (rollout: Rollout, agent: RolloutAgent, mayAsk: boolean): Promise<AgentStep> => {
    let { commandId } = agent
    if (commandId === null) {
      if (!mayAsk) return { is: 'waiting' }
      commandId = await ask(rollout, agent, services)
      await store.setAgent(agent, { commandId })
      changed(rollout.id)
      return { is: 'waiting' }
    }
    return look(rollout, agent, commandId, services)
  }

  /** Writes down who is through or failed; answers how many still are on the way. */
  const settle = async (rollout: Rollout, mayAsk: boolean): Promise<number> => {
    let waiting = 0
    for (const agent of await store.open(rollout.id, rollout.stage)) {
      if (interrupted.has(rollout.id)) return waiting + 1
      const step = await examine(rollout, agent, mayAsk).catch((error: unknown): AgentStep => {
        return {
          is: 'failed',
          failure: 'failed',
          problem: error instanceof Error ? error.message : String(error),
        }
      })
      if (step.is === 'waiting') {
        waiting += 1
        continue
      }
      const { is: _, ...outcome } = step
      await store.setAgent(agent, step.is === 'done' ? { done: 1 } : outcome)
      changed(rollout.id)
    }
    return waiting
  }

  const step = async (rollout: Rollout): Promise<void> => {
    const waiting = await settle(rollout, true)
    const stages = (await store.counts([rollout.id])).get(rollout.id) ?? []
    // What is kept counts, also what was kept before a crash; going on forgets it.
    const failures = stages.reduce((sum, { failed }) => sum + failed, 0)
    const [first] = failures > 0 ? await store.failed(rollout.id, 1) : []
    if (first) return end(rollout, sentence(first) + (failures > 1 ? ` (and ${failures - 1} more)` : ''))
    if (waiting > 0) return
    if (rollout.stage >= stages.length - 1) return end(rollout, null)
    const next = { stage: rollout.stage + 1, stageStartedAt: now() }
    await store.set(rollout.id, next)
    changed(rollout.id)
    return step({ ...rollout, ...next })
  }

  const read = async (id: string): Promise<RolloutView | undefined> => {
    const found = await store.read(id)
    return found && { ...found, agents: (await store.agents(id)).map(({ rolloutId: _, ...agent }) => agent) }
  }

  let turn: Promise<unknown> = Promise.resolve()
  /** One deed at a time: no step overwrites a halt. */
  const inTurn = <T>(act: () => Promise<T>): Promise<T> => {
    const result = turn.catch(() => undefined).then(act)
    turn = result
    return result
  }
  let next: Promise<void> | undefined
  /** A burst of hints is one look: whoever asks while one waits shares it. */
  const advance = (): Promise<void> => {
    next ??= inTurn(async () => {
      next = undefined
      const [running] = await store.running()
      if (running) return step(running)
      const [newest] = await store.newest(1)
      if (newest && newest.state !== 'done') await settle(newest, false)
    })
    return next
  }
  const expectNone = async (): Promise<void> => {
    const [running] = await store.running()
    if (running) throw rolloutError('FLT_ROLLOUT_RUNNING', { id: running.id })
  }
  /** Whoever is being asked this moment is the last one. */
  const interrupt = async (id: string, act: () => Promise<void>): Promise<void> => {
    interrupted.add(id)
    await inTurn(act).finally(() => interrupted.delete(id))
  }

  return {
    store,
    read,
    advance,
    async create({ kind = 'update', version, agents, stages, stageMinutes, by }) {
      const id = randomUUID()
      const stageOf = stagesOf(agents, stages)
      await inTurn(async () => {
        await expectNone()
        await store.add(
          {
            ...{ id, kind, version, state: 'running', reason: null, stage: 0, stageStartedAt: now() },
            ...{ stageMinutes, createdAt: now(), createdBy: by, stages: JSON.stringify(stages) },
            ...{ haltedBy: null, endedAt: null },
          },
          agents.map((agentId, index) => ({
            ...{ rolloutId: id, agentId, stage: stageOf[index] ?? 0, commandId: null, tries: 0, done: 0 },
            ...{ failure: null, problem: null },
          })),
        )
      })
      changed(id)
      await advance()
      const made = await read(id)
      if (!made) throw new Error('The rollout was not kept.')
      return made
    },
    halt: (id, by) =>
      interrupt(id, async () => {
        const found = await store.read(id)
        if (found?.state !== 'running') return
        await store.set(id, { haltedBy: by })
        await end(found, `halted by ${by}`)
      }),
    stop: (id) =>
      interrupt(id, async () => {
        const found = await store.read(id)
        if (found?.state !== 'running' && found?.state !== 'halted')
          throw rolloutError('FLT_ROLLOUT_ENDED', { id, state: found?.state })
        await store.set(id, { state: 'stopped', endedAt: now() })
        changed(id)
      }),
    async resume(id) {
      await inTurn(async () => {
        await expectNone()
        const found = await store.read(id)
        if (found?.state !== 'halted') throw rolloutError('FLT_ROLLOUT_ENDED', { id, state: found?.state })
        await store.reopen(id, now())
        changed(id)
      })
      await advance()
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

function sentence({ agentId, failure, problem }: RolloutAgent): string {
  return failure === 'late' ? `${agentId} ${problem}` : `${agentId}: ${problem}`
}

import type { PluginContext } from '@fleetupdate/sdk'
import { openTestDatabase, type TestDatabase } from '@fleetupdate/sdk/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { agentUpdate } from './contract.ts'
import { createRollouts, type Rollouts } from './rollouts.ts'
import { stagesOf } from './stages.ts'
import { migrations } from './tables.ts'

type Context = Pick<PluginContext<typeof agentUpdate>, 'db' | 'agents' | 'commands' | 'notify'>

let db: TestDatabase
let rollouts: Rollouts
let context: Context
/** Command id → its state, and by idempotency key what was submitted. */
let states: Map<string, { state: string; reason?: string }>
let submitted: Map<string, string>
let versions: Map<string, string>
let notices: string[]
let inputs: [command: string, input: unknown][]

beforeEach(async () => {
  db = await openTestDatabase(migrations)
  states = new Map()
  submitted = new Map()
  versions = new Map()
  notices = []
  inputs = []
  // The fleet as the plugin sees it: who runs what, and what became of each command.
  context = {
    db,
    agents: { get: async (id: string) => ({ id, status: 'online', agentVersion: versions.get(id) }) },
    commands: {
      submit: async (
        agentId: string,
        command: string,
        input: unknown,
        options: { idempotencyKey: string },
      ) => {
        const key = options.idempotencyKey
        if (!submitted.has(key)) inputs.push([command, input])
        if (!submitted.has(key)) submitted.set(key, agentId)
        const id = `command of ${key}`
        if (!states.has(id)) states.set(id, { state: 'queued' })
        return { id }
      },
      read: async (id: string) => ({ id, ...states.get(id) }),
    },
    notify: ({ title }: { title: string }) => notices.push(title),
  } as unknown as Context
  rollouts = createRollouts(context)
})
afterEach(() => db.close())

const start = (agents: readonly string[]) =>
  rollouts.create({ version: '2.0', agents, stages: [1, '50%', '100%'], stageMinutes: 15, by: 'olga' })
const busy = (): readonly string[] => [...submitted.values()]
/** The newest command of an agent ends. */
const finish = (agentId: string, state = 'succeeded', version = '2.0'): void => {
  const [key] = [...submitted].filter(([, id]) => id === agentId).at(-1) ?? []
  states.set(`command of ${key}`, { state, ...(state === 'succeeded' ? {} : { reason: 'Back to 1.0' }) })
  versions.set(agentId, version)
}

describe('stages', () => {
  test.each([
    [4, [1, '50%', '100%'], [0, 1, 2, 2]],
    [1, [1, '10%', '100%'], [0]],
    [5, [1], [0, 1, 1, 1, 1]],
    [3, ['100%'], [0, 0, 0]],
    [30, [1, '10%', '100%'], [0, 1, 1, ...Array(27).fill(2)]],
    [3, [1, '1%', '1%'], [0, 1, 2]],
  ] as const)('of %i agents in %j', (count, sizes, expected) => {
    const agents = Array.from({ length: count }, (_, i) => `vm-${i}`)
    expect(stagesOf(agents, [...sizes])).toEqual(expected)
  })
})

describe('a rollout', () => {
  test('goes on only when all of a stage are back with the new version', async () => {
    const { id } = await start(['a', 'b', 'c', 'd'])
    expect(busy()).toEqual(['a'])
    await rollouts.advance()
    expect(busy()).toEqual(['a'])
    // The command says so, but the agent has not come back yet.
    finish('a', 'succeeded', '1.0')
    await rollouts.advance()
    expect(busy()).toEqual(['a'])
    finish('a')
    await rollouts.advance()
    expect(busy()).toEqual(['a', 'b'])
    finish('b')
    await rollouts.advance()
    expect(busy()).toEqual(['a', 'b', 'c', 'd'])
    finish('c')
    await rollouts.advance()
    expect((await rollouts.read(id))?.state).toBe('running')
    finish('d')
    await rollouts.advance()
    expect((await rollouts.read(id))?.state).toBe('done')
    expect(notices).toEqual(['All agents of the rollout run 2.0'])
  })

  test('halts by itself at the first agent that does not come back, and can be taken up again', async () => {
    const { id } = await start(['a', 'b', 'c', 'd'])
    finish('a', 'failed', '1.0')
    await rollouts.advance()
    expect(await rollouts.read(id)).toMatchObject({ state: 'halted', reason: 'a: Back to 1.0' })
    expect(busy()).toEqual(['a'])
    await rollouts.advance()
    expect(busy()).toEqual(['a'])
    await rollouts.resume(id)
    expect(busy()).toEqual(['a', 'a'])
    finish('a')
    await rollouts.advance()
    expect(busy()).toEqual(['a', 'a', 'b'])
  })

  test('halts when the time of a stage is over', async () => {
    const { id } = await start(['a', 'b'])
    await db.write([
      {
        sql: 'update rollouts set stageStartedAt = ?',
        parameters: [new Date(Date.now() - 16 * 60_000).toISOString()],
      },
    ])
    await rollouts.advance()
    expect(await rollouts.read(id)).toMatchObject({
      state: 'halted',
      reason: 'a did not come back with 2.0 in time',
    })
  })

  test('goes on after a restart of the server, and submits nothing twice', async () => {
    await start(['a', 'b'])
    // As after a crash between the command and the note of it.
    await db.write([{ sql: 'update rollout_agents set commandId = null', parameters: [] }])
    rollouts = createRollouts(context)
    await rollouts.advance()
    expect(busy()).toEqual(['a'])
    finish('a')
    await Promise.all([rollouts.advance(), rollouts.advance(), rollouts.advance()])
    expect(busy()).toEqual(['a', 'b'])
  })

  test('halts also where a failure was kept and the server ended before it could halt', async () => {
    const { id } = await rollouts.create({
      ...{ version: '2.0', agents: ['a', 'b', 'c'], stages: [2, '100%'], stageMinutes: 15, by: 'olga' },
    })
    await rollouts.store.setAgent(
      { rolloutId: id, agentId: 'a' },
      { failure: 'failed', problem: 'it fell over' },
    )
    rollouts = createRollouts(context)
    finish('b')
    await rollouts.advance()
    expect(await rollouts.read(id)).toMatchObject({ state: 'halted', reason: 'a: it fell over' })
    expect(busy()).toEqual(['a', 'b'])
  })

  test('is halted by an operator', async () => {
    const { id } = await start(['a', 'b'])
    await rollouts.halt(id, 'olga')
    finish('a')
    await rollouts.advance()
    expect(busy()).toEqual(['a'])
    expect(await rollouts.read(id)).toMatchObject({
      ...{ state: 'halted', reason: 'halted by olga', haltedBy: 'olga', endedAt: expect.any(String) },
    })
  })

  test('names everybody of the stage who failed, and asks them alone once more', async () => {
    const { id } = await rollouts.create({
      ...{ version: '2.0', agents: ['a', 'b', 'c', 'd'], stages: [3, '100%'], stageMinutes: 15, by: 'olga' },
    })
    finish('a')
    finish('b', 'failed', '1.0')
    finish('c', 'rejected', '1.0')
    await rollouts.advance()
    expect(await rollouts.read(id)).toMatchObject({ state: 'halted', reason: 'b: Back to 1.0 (and 1 more)' })
    expect(await rollouts.store.failed(id, 10)).toMatchObject([
      { agentId: 'b', failure: 'failed', problem: 'Back to 1.0' },
      { agentId: 'c', failure: 'rejected', problem: 'Back to 1.0' },
    ])
    await rollouts.resume(id)
    expect(busy()).toEqual(['a', 'b', 'c', 'b', 'c'])
    expect(await rollouts.store.failed(id, 10)).toEqual([])
  })

  test('follows those to their end whom a halt left at it', async () => {
    const { id } = await rollouts.create({
      ...{ version: '2.0', agents: ['a', 'b', 'c'], stages: [2, '100%'], stageMinutes: 15, by: 'olga' },
    })
    finish('a', 'failed', '1.0')
    await rollouts.advance()
    const counts = async () => (await rollouts.store.counts([id])).get(id)
    expect(await counts()).toMatchObject([{ done: 0, failed: 1, busy: 1 }, { agents: 1 }])
    finish('b')
    await rollouts.advance()
    expect(await counts()).toMatchObject([
      { done: 1, failed: 1, busy: 0 },
      { agents: 1, busy: 0 },
    ])
    expect((await rollouts.read(id))?.state).toBe('halted')
  })

  test('is stopped for good, and only what is not over can be', async () => {
    const { id } = await start(['a', 'b'])
    await rollouts.stop(id)
    finish('a')
    await rollouts.advance()
    expect(busy()).toEqual(['a'])
    const refused = expect.objectContaining({ code: 'FLT_ROLLOUT_ENDED' })
    await expect(rollouts.resume(id)).rejects.toEqual(refused)
    await expect(rollouts.stop(id)).rejects.toEqual(refused)
  })

  test('is the only one, however many start one at once', async () => {
    const results = await Promise.allSettled([start(['a']), start(['b']), start(['c'])])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
    expect(busy()).toEqual(['a'])
  })

  test('leads back by the same stages, and is done where the version is gone', async () => {
    versions = new Map([
      ['a', '2.0'],
      ['b', '2.0'],
    ])
    const { id } = await rollouts.create({
      ...{ kind: 'back', version: '2.0', agents: ['a', 'b'], stages: [1], stageMinutes: 15, by: 'olga' },
    })
    expect(inputs).toEqual([['back', { from: '2.0' }]])
    finish('a', 'succeeded', '2.0')
    await rollouts.advance()
    expect(busy()).toEqual(['a'])
    finish('a', 'succeeded', '1.0')
    await rollouts.advance()
    finish('b', 'succeeded', '1.0')
    await rollouts.advance()
    expect((await rollouts.read(id))?.state).toBe('done')
    expect(notices).toEqual(['The way back from 2.0 is done'])
  })

  test('says when something changed', async () => {
    const told: string[] = []
    const end = rollouts.onChange((id) => told.push(id))
    const { id } = await start(['a'])
    finish('a')
    told.length = 0
    await rollouts.advance()
    expect(new Set(told)).toEqual(new Set([id]))
    await rollouts.advance()
    end()
    const count = told.length
    await rollouts.advance()
    expect(told).toHaveLength(count)
  })
})

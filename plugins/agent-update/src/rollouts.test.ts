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

beforeEach(async () => {
  db = await openTestDatabase(migrations)
  states = new Map()
  submitted = new Map()
  versions = new Map()
  notices = []
  // The fleet as the plugin sees it: who runs what, and what became of each command.
  context = {
    db,
    agents: { get: async (id: string) => ({ id, status: 'online', agentVersion: versions.get(id) }) },
    commands: {
      submit: async (
        agentId: string,
        _command: string,
        _input: unknown,
        options: { idempotencyKey: string },
      ) => {
        const key = options.idempotencyKey
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

  test('is halted by an operator', async () => {
    const { id } = await start(['a', 'b'])
    await rollouts.halt(id, 'halted by olga')
    finish('a')
    await rollouts.advance()
    expect(busy()).toEqual(['a'])
    expect(await rollouts.read(id)).toMatchObject({ state: 'halted', reason: 'halted by olga' })
  })
})

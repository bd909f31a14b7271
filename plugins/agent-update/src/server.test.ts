import type { AgentView, CommandView, PluginContext } from '@fleetupdate/sdk'
import { startServerPart, type TestServerPart } from '@fleetupdate/sdk/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { agentUpdate, ReleaseState } from './contract.ts'
import plugin from './server.ts'

type Context = PluginContext<typeof agentUpdate>

/** The fleet as the core shows it: what each agent said, and the commands it was given. */
let releases: Map<string, ReleaseState>
let commands: Map<string, CommandView>
let part: TestServerPart<typeof agentUpdate>

const release = (installed: string, more: Partial<ReleaseState> = {}): ReleaseState => ({
  ...{ installed, offered: '2.0', newer: installed !== '2.0', hindrance: null, before: null, last: null },
  ...more,
})

function viewOf(id: string): AgentView | undefined {
  const found = releases.get(id)
  if (!found) return undefined
  const facets = {
    'agent-update.offered': found.offered,
    'agent-update.behind': found.hindrance === null ? found.newer : null,
    'agent-update.updatable': found.hindrance === null,
    'agent-update.before': found.before ?? null,
  }
  return { id, status: 'online', agentVersion: found.installed, facets } as unknown as AgentView
}

beforeEach(async () => {
  releases = new Map([
    ['vm-01', release('1.0')],
    ['vm-02', release('1.0')],
    ['vm-03', release('1.5')],
    ['dev', release('from a checkout', { offered: null, newer: null, hindrance: 'Not installed.' })],
  ])
  commands = new Map()
  const agents: Context['agents'] = {
    get: async (id) => viewOf(id),
    async list({ filter, cursor }) {
      const items = [...releases.keys()]
        .flatMap((id) => viewOf(id) ?? [])
        .filter(({ facets }) => filter === undefined || Boolean(facets[filter]))
      // Pages of two, so that the way through them is walked.
      const from = Number(cursor ?? 0)
      const nextCursor = from + 2 < items.length ? String(from + 2) : null
      return { items: items.slice(from, from + 2), nextCursor, counts: {} }
    },
  }
  part = await startServerPart(plugin, {
    agents,
    facts: { read: async (id) => ({ release: releases.get(id) }) },
    commands: {
      submit: async (agentId: string, command: string) => {
        const id = `${command} ${agentId}`
        commands.set(id, { id, agentId, state: 'running' } as CommandView)
        return commands.get(id)
      },
      read: async (id: string) => commands.get(id),
    } as unknown as Context['commands'],
  })
})
afterEach(() => part.stop())

const ask = async (method: 'GET' | 'POST', path: string, payload?: object) => {
  const url = `/api/plugins/agent-update/${path}`
  const answer = await part.http.inject({ method, url, ...(payload ? { payload } : {}) })
  return { status: answer.statusCode, body: answer.json() }
}
const end = (id: string, state: CommandView['state'], reason?: string): void => {
  commands.set(id, { ...(commands.get(id) as CommandView), state, ...(reason ? { reason } : {}) })
}

describe('the fleet', () => {
  test('is counted by version, with what is offered and who cannot be updated', async () => {
    expect((await ask('GET', 'fleet')).body).toEqual({
      total: 4,
      versions: [
        { version: '1.0', agents: 2 },
        { version: '1.5', agents: 1 },
        { version: 'from a checkout', agents: 1 },
      ],
      ...{ offered: '2.0', behind: 3, cannot: 1 },
    })
  })
})

test('the fleet is counted anew when somebody came back', async () => {
  const offeredTo = async () => (await ask('GET', 'fleet')).body.behind
  expect(await offeredTo()).toBe(3)
  releases.set('vm-01', release('2.0'))
  expect(await offeredTo()).toBe(3)
  part.emit('facts.updated', { agentId: 'vm-01', plugin: 'agent-update' })
  expect(await offeredTo()).toBe(2)
})

describe('a rollout', () => {
  test('takes all that are behind, beginning with the one that was chosen', async () => {
    const made = await ask('POST', 'rollouts', { first: 'vm-03', stages: [1, '100%'] })
    expect(made).toMatchObject({ status: 201, body: { version: '2.0', state: 'running', kind: 'update' } })
    const { body } = await ask('GET', `rollouts/${made.body.id}/progress`)
    expect(body).toMatchObject({
      stages: [
        { stage: 0, agents: 1, done: 0, failed: 0, busy: 1 },
        { stage: 1, agents: 2, busy: 0 },
      ],
      busy: [{ agentId: 'vm-03', online: true, state: 'running' }],
      failed: [],
    })
  })

  test('shows who failed and why, and is refused while another is under way', async () => {
    const { body: made } = await ask('POST', 'rollouts', {})
    expect(await ask('POST', 'rollouts', {})).toMatchObject({
      status: 409,
      body: { code: 'FLT_ROLLOUT_RUNNING' },
    })
    end('install vm-01', 'failed', 'Back to 1.0: it fell over')
    await part.runScheduled()
    expect((await ask('GET', `rollouts/${made.id}/progress`)).body).toMatchObject({
      state: 'halted',
      reason: 'vm-01: Back to 1.0: it fell over',
      failed: [{ agentId: 'vm-01', failure: 'failed', problem: 'Back to 1.0: it fell over' }],
    })
    expect(part.notices).toMatchObject([{ level: 'critical', title: 'The rollout of 2.0 halted' }])
    expect((await ask('GET', 'rollouts')).body.items).toMatchObject([{ id: made.id, state: 'halted' }])
    expect((await ask('POST', `rollouts/${made.id}/stop`)).body).toMatchObject({ state: 'stopped' })
    expect(await ask('POST', `rollouts/${made.id}/resume`)).toMatchObject({
      status: 409,
      body: { code: 'FLT_ROLLOUT_ENDED' },
    })
  })

  test('is put back with those that came to its version and know the one before', async () => {
    const { body: made } = await ask('POST', 'rollouts', { stages: ['100%'] })
    for (const id of ['vm-01', 'vm-02', 'vm-03']) {
      end(`install ${id}`, 'succeeded')
      releases.set(id, release('2.0', { before: id === 'vm-03' ? null : '1.0' }))
    }
    await part.runScheduled()
    const back = await ask('POST', `rollouts/${made.id}/back`)
    expect(back).toMatchObject({
      status: 201,
      body: { kind: 'back', version: '2.0', agents: [{ agentId: 'vm-01' }, { agentId: 'vm-02' }] },
    })
    expect([...commands.keys()]).toEqual(expect.arrayContaining(['back vm-01', 'back vm-02']))
  })

  test.each([
    ['nobody is behind', () => releases.clear(), {}, 'FLT_ROLLOUT_EMPTY'],
    ['an agent cannot', () => undefined, { agents: ['vm-01', 'dev'] }, 'FLT_ROLLOUT_AGENT'],
    ['an agent is unknown', () => undefined, { agents: ['vm-99'] }, 'FLT_ROLLOUT_AGENT'],
    ['the first is unknown', () => undefined, { first: 'vm-99' }, 'FLT_ROLLOUT_AGENT'],
  ])('is refused where %s', async (_what, arrange, body, code) => {
    arrange()
    expect(await ask('POST', 'rollouts', body)).toMatchObject({ status: 409, body: { code } })
    expect(commands.size).toBe(0)
  })

  test.each([
    { stages: [] },
    { stages: ['0%'] },
    { stages: [0] },
    { stageMinutes: 4 },
    { agents: ['../x'] },
    { first: '' },
    { more: true },
  ])('does not take %j', async (body) => {
    expect((await ask('POST', 'rollouts', body)).status).toBe(400)
  })

  test.each(['', '/progress'])('nobody knows has no page%s', async (path) => {
    expect(await ask('GET', `rollouts/none${path}`)).toMatchObject({
      status: 404,
      body: { code: 'FLT_ROLLOUT_UNKNOWN' },
    })
  })

  test('tells those who look when it moves', async () => {
    const told: unknown[] = []
    const gone = new AbortController()
    await part.subscribe('agent-update', {
      ...{ argument: '', from: 0, subject: { name: 'vera', role: 'viewer' }, signal: gone.signal },
      send: (data) => told.push(data) > 0,
      drained: async () => undefined,
    })
    expect(told).toEqual([{ changed: null }])
    const { body: made } = await ask('POST', 'rollouts', {})
    expect(told).toContainEqual({ changed: made.id })
    gone.abort()
    const count = told.length
    await ask('POST', `rollouts/${made.id}/halt`)
    expect(told).toHaveLength(count)
  })
})

import { afterEach, beforeEach, expect, test } from 'vitest'
import { startTestFleet, type TestFleet } from './testing/test-fleet.ts'

let fleet: TestFleet
beforeEach(async () => {
  fleet = await startTestFleet()
  for (const id of ['a', 'b', 'c', 'd', 'e']) await fleet.agent(id)
})
afterEach(() => fleet.dispose())

test('a list is paged by an opaque cursor that is good for its own order alone', async () => {
  const first = (await fleet.call('GET', '/api/agents?limit=2&sort=-id')).body
  expect(first.items.map(({ id }: { id: string }) => id)).toEqual(['e', 'd'])
  const next = `/api/agents?limit=2&cursor=${first.nextCursor}`
  const second = (await fleet.call('GET', `${next}&sort=-id`)).body
  expect(second.items.map(({ id }: { id: string }) => id)).toEqual(['c', 'b'])
  expect((await fleet.call('GET', next)).body.code).toBe('FLT_CURSOR_INVALID')
  const last = (await fleet.call('GET', `/api/agents?sort=-id&limit=2&cursor=${second.nextCursor}`)).body
  expect(last).toMatchObject({ items: [{ id: 'a' }], nextCursor: null })
})

test('a removed agent is not listed, not counted, and cannot be removed again', async () => {
  const removed = fleet.event('agent.removed')
  await fleet.call('DELETE', '/api/agents/a')
  expect(await removed).toEqual({ agentId: 'a' })
  expect((await fleet.call('GET', '/api/agents')).body.counts.all).toBe(4)
  expect((await fleet.call('DELETE', '/api/agents/a')).status).toBe(404)
  expect((await fleet.call('POST', '/api/agents/nobody/reset')).status).toBe(404)
  fleet = await fleet.restart()
  expect((await fleet.call('GET', '/api/agents')).body.counts.all).toBe(4)
})

test('executors are counted by version, and shown as the agent told them', async () => {
  const agent = await fleet.agent('f')
  const executor = { id: 'wire', version: '1.0.0', contractHash: 'h', health: 'ok' } as const
  await agent.join({ executors: [executor], apps: [{ name: 'shop' }] })
  expect(fleet.fleet.executorCounts()).toEqual({ wire: { '1.0.0/h': 1 } })
  expect((await fleet.call('GET', '/api/agents/f')).body).toMatchObject({
    executors: [executor],
    apps: [{ name: 'shop' }],
  })
})

test('the numbers of any filter are told with a list, and one that nobody knows is left out', async () => {
  const connected = await fleet.agent('f')
  await connected.join()
  const list = await fleet.call(
    'GET',
    '/api/agents?limit=1&count=wire.outdated=null,!wire.outdated,wire.gone',
  )
  expect(list.body.counts).toEqual({
    all: 6,
    online: 1,
    offline: 5,
    'wire.outdated=null': 6,
    '!wire.outdated': 0,
  })
})

import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { builtIns } from '../repository.ts'

let fleet: TestFleet
beforeAll(async () => {
  fleet = await startTestFleet({ agents: ['vm-01'], ...builtIns })
})
afterAll(() => fleet?.stop())

test('reboot and services work in a real fleet, and say plainly what this host lacks', async () => {
  const { client } = fleet
  const view = await client.until('the facts of both', async () => {
    const agent = await client.agent('vm-01')
    const meta = agent?.factsMeta
    const told = meta?.services?.failed?.error !== undefined || agent?.facts.services?.failed !== undefined
    return agent?.facts.reboot?.state !== undefined && told && agent
  })
  expect(view.facts.reboot?.state).toMatchObject({
    required: expect.any(Boolean),
    bootId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    scheduledAt: null,
  })
  const boots = await client.request<{ items: object[] }>('GET', '/api/plugins/reboot/boots/vm-01')
  expect(boots.body.items).toHaveLength(1)

  const { id } = await client.submit('vm-01', 'services.status', { unit: 'no-such-unit-here' })
  expect(await client.finished(id)).toMatchObject({
    state: 'failed',
    reason: expect.stringMatching(/There is no unit|systemd does not answer/),
  })
  const own = await client.submit('vm-01', 'services.stop', { unit: 'orchestrator-agent' })
  expect(await client.finished(own.id)).toMatchObject({
    state: 'failed',
    reason: expect.stringContaining('the agent itself'),
  })
  const refused = await client.request('POST', '/api/agents/vm-01/reboot/schedule', { minutes: 0 })
  expect(refused).toMatchObject({ status: 400, body: { code: 'FLT_COMMAND_INPUT' } })
})

import { afterEach, expect, test } from 'vitest'
import { startTestFleet, type TestFleet } from './testing/test-fleet.ts'

let fleet: TestFleet
afterEach(() => fleet?.dispose())

test('agents are grouped by what they told of an executor, and those without it too', async () => {
  fleet = await startTestFleet()
  const known = { id: 'wire', version: '1.0.0', contractHash: 'abc', health: 'ok' as const }
  const told = {
    'vm-01': [known],
    'vm-02': [known],
    'vm-03': [{ ...known, trust: 'refused' as const, reason: 'unknown key' }],
    'vm-04': [],
  }
  for (const [id, executors] of Object.entries(told)) await (await fleet.agent(id)).join({ executors })
  const { body } = await fleet.call('GET', '/api/executors/wire')
  expect(body.groups).toEqual([
    { executor: known, total: 2, agents: ['vm-01', 'vm-02'] },
    { executor: { ...known, trust: 'refused', reason: 'unknown key' }, total: 1, agents: ['vm-03'] },
    { executor: null, total: 1, agents: ['vm-04'] },
  ])
})

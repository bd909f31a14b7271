import { afterEach, expect, test } from 'vitest'
import { startTestFleet, type TestFleet } from '../agents/testing/test-fleet.ts'
import { startTestPeople, type TestPeople } from '../auth/testing/test-people.ts'
import type { Store } from '../store/store.ts'

let fleet: TestFleet | undefined
let people: TestPeople | undefined
afterEach(async () => {
  await fleet?.dispose()
  await people?.dispose()
  fleet = undefined
  people = undefined
})

const rowsOf = async ({ read }: Store) => {
  const rows = await read.selectFrom('audit_log').selectAll().orderBy('seq').execute()
  return rows.map(({ actorType, actorId, action, target, outcome }) =>
    [outcome, actorType, actorId, action, target].join(' '),
  )
}

test('whatever changes the fleet leaves a row with its cause', async () => {
  fleet = await startTestFleet()
  const { call } = fleet
  await fleet.agent('vm-01')
  const one = await call('POST', '/api/agents/vm-01/wire/run', { n: 1 })
  await call('POST', `/api/commands/${one.body.id}/cancel`, {})
  const many = await call('POST', '/api/commands', { command: 'wire.free', targets: { agents: ['vm-01'] } })
  const batch = many.body.batch.id
  await call('POST', `/api/batches/${batch}/cancel`, {})
  const token = (await call('POST', '/api/enrolment/tokens', {})).body.id
  await call('DELETE', `/api/enrolment/tokens/${token}`)
  await call('POST', '/api/agents/vm-01/reset')
  await call('DELETE', '/api/agents/vm-01')
  expect(await rowsOf(fleet.store)).toEqual([
    'done agent vm-01 agent.enrolled vm-01',
    `done user ada command.submitted ${one.body.id}`,
    `done user ada command.cancelled ${one.body.id}`,
    `done user ada batch.submitted ${batch}`,
    `done user ada batch.cancelled ${batch}`,
    `done user ada enrolment-token.created ${token}`,
    `done user ada enrolment-token.ended ${token}`,
    'done user ada agent.reset vm-01',
    'done user ada agent.removed vm-01',
  ])
})

test('what changes nothing leaves none: a repeated request, and a cancel of what has ended', async () => {
  fleet = await startTestFleet()
  await fleet.agent('vm-01')
  const again = { 'idempotency-key': 'once' }
  const { body } = await fleet.call('POST', '/api/agents/vm-01/wire/run', { n: 1 }, again)
  await fleet.call('POST', '/api/agents/vm-01/wire/run', { n: 1 }, again)
  await fleet.call('POST', `/api/commands/${body.id}/cancel`, {})
  expect((await fleet.call('POST', `/api/commands/${body.id}/cancel`, {})).status).toBe(409)
  expect(await rowsOf(fleet.store)).toHaveLength(3)
})

test('a refused login leaves the known name alone, and no password anywhere', async () => {
  people = await startTestPeople()
  const { token } = (await people.logIn('right-password')).json()
  await people.logIn('wrong-secret')
  await people.logIn('x', { username: 'typed-my-password-here' })
  const headers = { authorization: `Bearer ${token}` }
  const payload = { current: 'right-password', next: 'another-password' }
  await people.inject({ method: 'POST', url: '/api/auth/password', headers, payload })
  await people.inject({ method: 'POST', url: '/api/auth/logout', headers })
  const rows = await rowsOf(people.store)
  expect(rows).toHaveLength(6)
  expect(rows).toEqual(
    expect.arrayContaining([
      'done server UI_PASSWORD password.changed admin',
      'done user admin session.opened ',
      'refused nobody  login.refused admin',
      'refused nobody  login.refused ',
      'done user admin password.changed admin',
      'done user admin session.ended ',
    ]),
  )
  const all = JSON.stringify(await people.store.read.selectFrom('audit_log').selectAll().execute())
  for (const secret of [
    'wrong-secret',
    'typed-my-password-here',
    'right-password',
    'another-password',
    token,
  ])
    expect(all).not.toContain(secret)
})

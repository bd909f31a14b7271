import { afterEach, beforeEach, expect, test } from 'vitest'
import { startTestPeople, type TestPeople } from './testing/test-people.ts'

let people: TestPeople
beforeEach(async () => {
  people = await startTestPeople()
})
afterEach(() => people.dispose())

const logIn = async (client: string): Promise<string> =>
  (await people.logIn('right-password', { headers: { 'user-agent': client } })).json().token
const call = (token: string, method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object) =>
  people.inject({ method, url, headers: { authorization: `Bearer ${token}` }, ...(payload && { payload }) })
const list = async (token: string): Promise<{ id: string; client: string; current: boolean }[]> =>
  (await call(token, 'GET', '/api/auth/sessions')).json().items
const me = async (token: string) => (await call(token, 'GET', '/api/auth/me')).statusCode

test('own logins are listed with where they came from, and ended one by one', async () => {
  const laptop = await logIn('Firefox on a laptop')
  const phone = await logIn('Chrome on a phone')
  const listed = await list(laptop)
  expect(listed.map(({ client, current }) => [client, current])).toEqual([
    ['Chrome on a phone', false],
    ['Firefox on a laptop', true],
  ])
  const ended: string[] = []
  people.people.sessions.onEnded((id) => ended.push(id))
  const id = listed[0]?.id ?? ''
  expect((await call(laptop, 'DELETE', `/api/auth/sessions/${id}`)).json()).toEqual({ id })
  expect([await me(phone), await me(laptop), ended]).toEqual([401, 200, [id]])
  expect((await call(laptop, 'DELETE', `/api/auth/sessions/${id}`)).json().code).toBe(
    'FLT_AUTH_SESSION_UNKNOWN',
  )
})

test('all other logins end at once, and are written down', async () => {
  const tokens = [await logIn('one'), await logIn('two'), await logIn('three')]
  const [first = ''] = tokens
  expect((await call(first, 'POST', '/api/auth/sessions/end-others')).json()).toEqual({ ended: 2 })
  expect(await Promise.all(tokens.map(me))).toEqual([200, 401, 401])
  const rows = await people.store.read.selectFrom('audit_log').select(['action', 'actorId']).execute()
  expect(rows).toContainEqual({ action: 'sessions.ended', actorId: 'admin' })
})

test("logins of others, and logins in the hands of an API token, can't be ended", async () => {
  const admin = await logIn('admin')
  const user = { name: 'grace', role: 'viewer', password: 'long enough 123' }
  await call(admin, 'POST', '/api/users', user)
  const grace = (await people.logIn(user.password, { username: 'grace' })).json().token
  const [own] = await list(admin)
  expect((await call(grace, 'DELETE', `/api/auth/sessions/${own?.id}`)).statusCode).toBe(404)
  const terms = { name: 'ci', role: 'viewer', days: 1 }
  const { token } = (await call(grace, 'POST', '/api/tokens', terms)).json()
  expect((await call(token, 'POST', '/api/auth/sessions/end-others')).json().code).toBe(
    'FLT_TOKEN_NEEDS_LOGIN',
  )
  expect(await me(grace)).toBe(200)
})

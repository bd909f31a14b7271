import type { LightMyRequestResponse } from 'fastify'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startTestPeople, type TestPeople } from './testing/test-people.ts'

let people: TestPeople
let admin: string
beforeEach(async () => {
  people = await startTestPeople()
  admin = await logIn('admin', 'right-password')
})
afterEach(() => people.dispose())

const password = 'long enough 123'
async function logIn(username: string, word = password): Promise<string> {
  return (await people.logIn(word, { username })).json().token
}
async function call(
  token: string,
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
  url: string,
  payload?: object,
): Promise<LightMyRequestResponse> {
  const headers = { authorization: `Bearer ${token}` }
  return people.inject({ method, url, headers, ...(payload ? { payload } : {}) })
}
const add = async (name: string, role: string): Promise<string> =>
  (await call(admin, 'POST', '/api/users', { name, role, password })).json().id
const me = async (token: string) => (await call(token, 'GET', '/api/auth/me')).statusCode
const idOf = async (name: string): Promise<string> =>
  (await call(admin, 'GET', '/api/users')).json().items.find((each: { name: string }) => each.name === name)
    .id

describe('people', () => {
  test('are added, listed without secrets, and log in with their own role', async () => {
    await add('grace', 'operator')
    const list = (await call(admin, 'GET', '/api/users')).json()
    expect(list.items).toMatchObject([
      { name: 'admin', role: 'admin' },
      { name: 'grace', role: 'operator' },
    ])
    expect(JSON.stringify(list)).not.toContain('argon2')
    const grace = await logIn('grace')
    expect((await call(grace, 'POST', '/api/test/admin')).statusCode).toBe(403)
    expect((await call(grace, 'GET', '/api/users')).statusCode).toBe(403)
  })

  test('have names of their own', async () => {
    await add('grace', 'operator')
    const again = await call(admin, 'POST', '/api/users', { name: 'grace', role: 'admin', password })
    expect([again.statusCode, again.json().code]).toEqual([409, 'FLT_USER_EXISTS'])
  })

  test('are out at once when they are removed', async () => {
    const id = await add('grace', 'operator')
    const grace = await logIn('grace')
    const made = await call(grace, 'POST', '/api/tokens', { name: 'ci', role: 'viewer', days: 1 })
    const ended: string[] = []
    people.people.sessions.onEnded((session) => ended.push(session))
    people.people.tokens.onEnded((session) => ended.push(session))
    expect((await call(admin, 'DELETE', `/api/users/${id}`)).statusCode).toBe(200)
    expect(await me(grace)).toBe(401)
    expect(await me(made.json().token)).toBe(401)
    expect(ended).toHaveLength(2)
    expect((await people.logIn(password, { username: 'grace' })).statusCode).toBe(401)
  })

  test('log in anew when their role or password was changed', async () => {
    const id = await add('grace', 'operator')
    const before = await logIn('grace')
    await call(admin, 'PATCH', `/api/users/${id}`, { role: 'viewer' })
    expect(await me(before)).toBe(401)
    const after = await logIn('grace')
    await call(admin, 'PATCH', `/api/users/${id}`, { password: 'another one 456' })
    expect(await me(after)).toBe(401)
    expect(await me(await logIn('grace', 'another one 456'))).toBe(200)
  })

  test('are shut out while they are disabled, and the last admin who gets in cannot be', async () => {
    const id = await add('grace', 'operator')
    const grace = await logIn('grace')
    const made = await call(grace, 'POST', '/api/tokens', { name: 'ci', role: 'viewer', days: 1 })
    expect((await call(admin, 'PATCH', `/api/users/${id}`, { disabled: true })).statusCode).toBe(200)
    expect([await me(grace), await me(made.json().token)]).toEqual([401, 401])
    expect((await people.logIn(password, { username: 'grace' })).json().code).toBe('FLT_AUTH_DISABLED')
    expect((await people.logIn('not the password', { username: 'grace' })).json().code).toBe(
      'FLT_AUTH_INVALID',
    )
    const listed = (await call(admin, 'GET', '/api/users')).json().items
    expect(listed).toMatchObject([
      { name: 'admin', disabled: false, sessions: 1, secondFactor: false },
      { name: 'grace', disabled: true, sessions: 0 },
    ])
    await call(admin, 'PATCH', `/api/users/${id}`, { disabled: false })
    expect(await me(await logIn('grace'))).toBe(200)
    expect(await me(made.json().token)).toBe(200)
    await call(admin, 'PATCH', `/api/users/${id}`, { role: 'admin', disabled: true })
    const own = await call(admin, 'PATCH', `/api/users/${await idOf('admin')}`, { disabled: true })
    expect(own.json().code).toBe('FLT_USER_LAST_ADMIN')
  })

  test('keep one admin, also when two admins remove each other at once', async () => {
    const own = await idOf('admin')
    const alone = await call(admin, 'DELETE', `/api/users/${own}`)
    expect([alone.statusCode, alone.json().code]).toEqual([409, 'FLT_USER_LAST_ADMIN'])
    expect((await call(admin, 'PATCH', `/api/users/${own}`, { role: 'viewer' })).statusCode).toBe(409)
    expect(await me(admin)).toBe(200)
    const other = await add('grace', 'admin')
    const grace = await logIn('grace')
    const answers = await Promise.all([
      call(admin, 'DELETE', `/api/users/${other}`),
      call(grace, 'DELETE', `/api/users/${own}`),
    ])
    expect(answers.filter(({ statusCode }) => statusCode === 200)).toHaveLength(1)
    const left = await people.store.read.selectFrom('users').selectAll().execute()
    expect(left).toMatchObject([{ role: 'admin' }])
  })
})

describe('an API token', () => {
  const make = async (owner: string, role: string, days = 30) =>
    (await call(owner, 'POST', '/api/tokens', { name: 'ci', role, days })).json()

  test('acts for its owner with its own lesser role, and is listed without its secret', async () => {
    const { token, id } = await make(admin, 'viewer')
    expect((await call(token, 'GET', '/api/auth/me')).json().user).toEqual({ name: 'admin', role: 'viewer' })
    expect((await call(token, 'POST', '/api/test/admin')).statusCode).toBe(403)
    const list = (await call(admin, 'GET', '/api/tokens')).body
    expect(JSON.parse(list).items).toMatchObject([{ id, user: 'admin', role: 'viewer', state: 'open' }])
    expect(list).not.toContain(token.split('_')[2])
  })

  test('never counts for more than its owner', async () => {
    const id = await add('grace', 'operator')
    const grace = await logIn('grace')
    expect((await make(grace, 'admin')).code).toBe('FLT_AUTH_FORBIDDEN')
    const { token } = await make(grace, 'operator')
    await call(admin, 'PATCH', `/api/users/${id}`, { role: 'viewer' })
    expect((await call(token, 'GET', '/api/auth/me')).json().user.role).toBe('viewer')
  })

  test('ends: by its time, by its owner, by an admin, by itself', async () => {
    const short = await make(admin, 'viewer', 1)
    people.wait(86_400_001)
    expect(await me(short.token)).toBe(401)
    admin = await logIn('admin', 'right-password')
    await add('grace', 'viewer')
    const grace = await logIn('grace')
    for (const ender of [grace, admin]) {
      const { id, token } = await make(grace, 'viewer')
      expect(await me(token)).toBe(200)
      expect((await call(ender, 'DELETE', `/api/tokens/${id}`)).statusCode).toBe(200)
      expect(await me(token)).toBe(401)
    }
    const { token } = await make(grace, 'viewer')
    expect((await call(token, 'POST', '/api/auth/logout')).statusCode).toBe(200)
    expect(await me(token)).toBe(401)
  })

  test("of somebody else cannot be ended or seen by a viewer, nor told from one that doesn't exist", async () => {
    await add('grace', 'viewer')
    const grace = await logIn('grace')
    const { id } = await make(admin, 'viewer')
    const others = await call(grace, 'DELETE', `/api/tokens/${id}`)
    const unknown = await call(grace, 'DELETE', '/api/tokens/0123456789abcdef')
    expect([others.statusCode, unknown.statusCode]).toEqual([404, 404])
    expect((await call(grace, 'GET', '/api/tokens')).json().items).toEqual([])
  })

  test('makes no other token', async () => {
    const { token } = await make(admin, 'admin')
    expect((await make(token, 'viewer')).code).toBe('FLT_TOKEN_NEEDS_LOGIN')
  })

  test.each(['flt_', 'flt_0123456789abcdef_', `flt_0123456789abcdef_${'0'.repeat(48)}`])(
    'like %s lets nobody in',
    async (token) => {
      expect(await me(token)).toBe(401)
    },
  )

  test('with one wrong digit lets nobody in, and the database holds no secret', async () => {
    const { token } = await make(admin, 'admin')
    const wrong = token.slice(0, -1) + (token.endsWith('0') ? '1' : '0')
    expect(await me(wrong)).toBe(401)
    const rows = await people.store.read.selectFrom('api_token_secrets').selectAll().execute()
    expect(Buffer.from(rows[0]?.hash ?? '').toString()).not.toContain(token.split('_')[2])
  })
})

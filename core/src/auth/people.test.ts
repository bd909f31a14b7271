import { randomBytes } from 'node:crypto'
import argon2 from 'argon2'
import bcrypt from 'bcryptjs'
import { SignJWT } from 'jose'
import { afterEach, describe, expect, test } from 'vitest'
import { createLoginBackoff } from './login-backoff.ts'
import { startTestPeople, type TestPeople } from './testing/test-people.ts'

let people: TestPeople
afterEach(() => people.dispose())

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

async function tokenFor(password = 'right-password', username = 'admin'): Promise<string> {
  return (await people.logIn(password, { username })).json().token
}

async function me(headers: Record<string, string>): Promise<number> {
  return (await people.inject({ url: '/api/auth/me', headers })).statusCode
}

describe('logging in', () => {
  test('answers a token, its end, the user and a cookie', async () => {
    people = await startTestPeople()
    const answer = await people.logIn('right-password')
    expect(answer.statusCode).toBe(200)
    const { token, expiresAt, user } = answer.json()
    expect(user).toEqual({ name: 'admin', role: 'admin' })
    expect(Date.parse(expiresAt) - Date.now()).toBeGreaterThan(11.9 * 3_600_000)
    expect(answer.headers['set-cookie']).toMatch(
      new RegExp(`^fleet_session=${token}; Path=/; Expires=.*; HttpOnly; SameSite=Strict$`),
    )
    expect((await people.inject({ url: '/api/auth/me', headers: bearer(token) })).json()).toEqual({
      user,
      expiresAt,
    })
    expect(await me({ cookie: `other=1; fleet_session=${token}` })).toBe(200)
  })

  test('refuses a wrong password and an unknown user in the same words', async () => {
    people = await startTestPeople()
    const wrong = await people.logIn('wrong')
    const unknown = await people.logIn('wrong', { username: 'nobody' })
    expect([wrong.statusCode, unknown.statusCode]).toEqual([401, 401])
    expect(wrong.json()).toEqual(unknown.json())
    expect(wrong.json().code).toBe('FLT_AUTH_INVALID')
    expect(wrong.headers['set-cookie']).toBeUndefined()
  })

  test.each([
    [{}],
    [{ username: 'admin' }],
    [{ username: 'admin', password: 7 }],
    [{ username: 'admin', password: 'right-password', role: 'admin' }],
    [{ username: ['admin'], password: 'right-password' }],
  ])('refuses the body %j', async (payload) => {
    people = await startTestPeople()
    const answer = await people.inject({ method: 'POST', url: '/api/auth/login', payload })
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'FLT_HTTP_INVALID'])
  })

  test('uses the Secure host cookie where the request came to an https address', async () => {
    people = await startTestPeople({ publicUrls: [new URL('https://fleet.example.com')] })
    const headers = { host: 'fleet.example.com' }
    const answer = await people.logIn('right-password', { headers })
    const { token } = answer.json()
    expect(answer.headers['set-cookie']).toMatch(/^__Host-fleet_session=.*; SameSite=Strict; Secure$/)
    expect(await me({ ...headers, cookie: `__Host-fleet_session=${token}` })).toBe(200)
    expect(await me({ ...headers, cookie: `fleet_session=${token}` })).toBe(401)
  })

  test('refuses the login form of another site', async () => {
    people = await startTestPeople()
    const answer = await people.logIn('right-password', { headers: { 'sec-fetch-site': 'cross-site' } })
    expect(answer.json().code).toBe('FLT_HTTP_CROSS_SITE')
  })
})

describe('a session', () => {
  test('ends for real at logout', async () => {
    people = await startTestPeople()
    const [token, other] = [await tokenFor(), await tokenFor()]
    const ended: string[] = []
    people.people.sessions.onEnded((id) => void ended.push(id))
    const answer = await people.inject({ method: 'POST', url: '/api/auth/logout', headers: bearer(token) })
    expect(answer.json()).toEqual({ ok: true })
    expect(answer.headers['set-cookie']).toMatch(/^fleet_session=; .*Expires=Thu, 01 Jan 1970/)
    expect([await me(bearer(token)), await me(bearer(other))]).toEqual([401, 200])
    expect(ended).toHaveLength(1)
  })

  test('ends after twelve hours and survives a restart until then', async () => {
    people = await startTestPeople()
    const token = await tokenFor()
    await people.restart()
    people.wait(11.9 * 3_600_000)
    expect(await me(bearer(token))).toBe(200)
    people.wait(0.2 * 3_600_000)
    expect(await me(bearer(token))).toBe(401)
  })

  test('is not opened by a forged, foreign or unsigned token', async () => {
    people = await startTestPeople()
    const token = await tokenFor()
    const [head = '', body = '', signature = ''] = token.split('.')
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString())
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${body}.`
    const foreign = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(randomBytes(32))
    const changed = `${head}.${Buffer.from(JSON.stringify({ ...claims, sub: 'x' })).toString('base64url')}.${signature}`
    for (const bad of [none, foreign, changed, 'x', `${token}x`, ''])
      expect([bad, await me(bearer(bad))]).toEqual([bad, 401])
    expect(await me({ authorization: `Basic ${token}`, cookie: `fleet_session=${token}` })).toBe(401)
    expect(await me(bearer(token))).toBe(200)
  })

  test('has the role that the user has now', async () => {
    people = await startTestPeople()
    const headers = bearer(await tokenFor())
    const act = () => people.inject({ method: 'POST', url: '/api/test/admin', headers })
    expect((await act()).statusCode).toBe(200)
    await people.store.write([people.store.read.updateTable('users').set({ role: 'viewer' }).compile()])
    const refused = await act()
    expect([refused.statusCode, refused.json().code]).toEqual([403, 'FLT_AUTH_FORBIDDEN'])
  })

  test('with another JWT_SECRET is over', async () => {
    people = await startTestPeople({ jwtSecret: 'a secret of the operator' })
    const token = await tokenFor()
    await people.restart({ jwtSecret: 'another secret of hers' })
    expect(await me(bearer(token))).toBe(401)
  })
})

describe('a cookie', () => {
  test.each([
    ['a page of this site', { 'sec-fetch-site': 'same-origin' }, 200],
    ['an address typed in', { 'sec-fetch-site': 'none' }, 200],
    ['another site', { 'sec-fetch-site': 'cross-site' }, 403],
    ['a sibling of this site', { 'sec-fetch-site': 'same-site' }, 403],
    ['an older browser on this site', { origin: 'http://fleet.test:8000' }, 200],
    ['an older browser on another site', { origin: 'http://evil.test' }, 403],
    ['an older browser on another port', { origin: 'http://fleet.test:9000' }, 403],
    ['a sandboxed page', { origin: 'null' }, 403],
    ['a page of CORS_ORIGINS', { origin: 'https://portal.test', 'sec-fetch-site': 'cross-site' }, 200],
    ['a program', {}, 200],
  ])('that acts for %s', async (_, headers, status) => {
    people = await startTestPeople({ corsOrigins: ['https://portal.test'] })
    const cookie = `fleet_session=${await tokenFor()}`
    const all = { host: 'fleet.test:8000', cookie, ...headers }
    const answer = await people.inject({ method: 'POST', url: '/api/test/admin', headers: all })
    expect(answer.statusCode).toBe(status)
    if (status === 403) expect(answer.json().code).toBe('FLT_HTTP_CROSS_SITE')
    expect(await me(all)).toBe(200)
  })

  test('behind PUBLIC_URL knows its own origin with its scheme', async () => {
    people = await startTestPeople({ publicUrls: [new URL('https://fleet.test')] })
    const cases = ['https://fleet.test', 'http://fleet.test', 'https://evil.test']
    const results = cases.map((origin) =>
      people.people.origins.isSameOrigin({ headers: { host: 'fleet.test', origin } }),
    )
    expect(results).toEqual([true, false, false])
  })
})

describe('the password', () => {
  test('is made, readable and strong, where there is none and no user', async () => {
    people = await startTestPeople({ uiPassword: undefined, uiUser: 'chief' })
    const first = people.people.firstPassword
    expect(first).toEqual({
      user: 'chief',
      password: expect.stringMatching(/^([a-km-np-z2-9]{5}-){3}[a-km-np-z2-9]{5}$/),
    })
    expect((await people.logIn(first!.password, { username: 'chief' })).statusCode).toBe(200)
    await people.restart()
    expect(people.people.firstPassword).toBeUndefined()
  })

  test('of the settings applies only when it changed, and then ends the sessions', async () => {
    people = await startTestPeople()
    const token = await tokenFor()
    const change = { current: 'right-password', next: 'chosen in the dashboard' }
    await people.inject({
      method: 'POST',
      url: '/api/auth/password',
      headers: bearer(token),
      payload: change,
    })
    await people.restart()
    expect((await people.logIn('chosen in the dashboard')).statusCode).toBe(200)
    expect(await me(bearer(token))).toBe(200)
    await people.restart({ uiPassword: 'changed by the operator' })
    expect((await people.logIn('changed by the operator')).statusCode).toBe(200)
    expect((await people.logIn('chosen in the dashboard')).statusCode).toBe(401)
    expect(await me(bearer(token))).toBe(401)
  })

  test.each(['', 'bcrypt:'])(
    'may be given as a bcrypt hash (prefix "%s"), which the first login replaces',
    async (prefix) => {
      people = await startTestPeople({ uiPasswordHash: `${prefix}${await bcrypt.hash('from before', 4)}` })
      expect((await people.logIn('wrong')).statusCode).toBe(401)
      expect((await people.logIn('from before')).statusCode).toBe(200)
      const { passwordHash } = await people.store.read
        .selectFrom('user_secrets')
        .select('passwordHash')
        .executeTakeFirstOrThrow()
      expect(passwordHash).toMatch(/^\$argon2id\$/)
      expect((await people.logIn('from before')).statusCode).toBe(200)
    },
  )

  test('may be given as an argon2id hash', async () => {
    people = await startTestPeople({ uiPasswordHash: await argon2.hash('hashed', { memoryCost: 8192 }) })
    expect((await people.logIn('hashed')).statusCode).toBe(200)
    expect((await people.logIn('right-password')).statusCode).toBe(401)
  })

  test('is changed by who knows it, and all other sessions end', async () => {
    people = await startTestPeople()
    const [own, other] = [await tokenFor(), await tokenFor()]
    const change = (payload: object) =>
      people.inject({ method: 'POST', url: '/api/auth/password', headers: bearer(own), payload })
    expect((await change({ current: 'wrong', next: 'long enough now' })).json().code).toBe('FLT_AUTH_INVALID')
    expect((await change({ current: 'right-password', next: 'short' })).statusCode).toBe(400)
    expect((await change({ current: 'right-password', next: 'long enough now' })).json()).toEqual({
      ok: true,
    })
    expect([await me(bearer(own)), await me(bearer(other))]).toEqual([200, 401])
    expect((await people.logIn('right-password')).statusCode).toBe(401)
    expect((await people.logIn('long enough now')).statusCode).toBe(200)
  })
})

describe('guessing', () => {
  test('is free five times, then slows down, and tells when to come back', async () => {
    people = await startTestPeople()
    for (let i = 0; i < 6; i++) expect((await people.logIn('wrong')).statusCode).toBe(401)
    const slowed = await people.logIn('right-password')
    expect([slowed.statusCode, slowed.json().code, slowed.headers['retry-after']]).toEqual([
      429,
      'FLT_AUTH_SLOW_DOWN',
      '1',
    ])
    people.wait(1000)
    expect((await people.logIn('right-password')).statusCode).toBe(200)
    expect((await people.logIn('right-password')).statusCode).toBe(200)
  })

  test('is evaluated at most 30 times an hour for an address, while the owner elsewhere can log in', async () => {
    people = await startTestPeople()
    let evaluated = 0
    for (let minute = 0; minute < 59; minute++) {
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          people.logIn('wrong', { username: i % 2 ? 'admin' : `user-${minute}-${i}` }),
        ),
      )
      evaluated += answers.filter(({ statusCode }) => statusCode === 401).length
      people.wait(60_000)
    }
    expect(evaluated).toBeGreaterThan(5)
    expect(evaluated).toBeLessThanOrEqual(30)
    expect((await people.logIn('right-password')).statusCode).toBe(429)
    expect((await people.logIn('right-password', { remoteAddress: '192.0.2.7' })).statusCode).toBe(200)
  })

  test('is not given new tries by a restart, nor by another address of the same IPv6 network', async () => {
    people = await startTestPeople()
    for (let i = 0; i < 6; i++) await people.logIn('wrong', { remoteAddress: `2001:db8:1:2::${i}` })
    await people.restart()
    expect((await people.logIn('wrong', { remoteAddress: '2001:db8:1:2:aaaa::1' })).statusCode).toBe(429)
    expect((await people.logIn('wrong', { remoteAddress: '2001:db8:1:3::1' })).statusCode).toBe(401)
  })

  test('takes as long for unknown users as for known ones', async () => {
    people = await startTestPeople()
    const timed = async (username: string, place: number): Promise<number> => {
      const started = performance.now()
      await people.logIn('wrong', { username, remoteAddress: `192.0.2.${place}` })
      return performance.now() - started
    }
    await timed('admin', 250)
    const known: number[] = []
    const unknown: number[] = []
    for (let i = 0; i < 15; i++) {
      known.push(await timed('admin', i))
      unknown.push(await timed('nobody', i + 100))
    }
    const median = (list: number[]): number => list.sort((a, b) => a - b)[7]!
    expect(median(unknown) / median(known)).toBeGreaterThan(0.6)
    expect(median(unknown) / median(known)).toBeLessThan(1.7)
  })

  test('leaves nothing behind after the clean-up', async () => {
    people = await startTestPeople()
    await people.logIn('wrong')
    await people.logIn('right-password')
    people.wait(3 * 24 * 3_600_000)
    const tomorrow = Date.now() + 3 * 24 * 3_600_000
    await people.people.sessions.sweep()
    await createLoginBackoff(people.store, () => tomorrow).sweep()
    expect(await people.store.read.selectFrom('login_backoff').selectAll().execute()).toEqual([])
    expect(await people.store.read.selectFrom('sessions').selectAll().execute()).toEqual([])
  })
})

test('the server does not start with another master key', async () => {
  people = await startTestPeople()
  const { key } = people
  await expect(people.restart({}, randomBytes(32))).rejects.toMatchObject({ code: 'FLT_SECRET_UNREADABLE' })
  await people.restart({}, key)
  expect((await people.logIn('right-password')).statusCode).toBe(200)
})

test('a first password is made once in the life of a data folder, even where its users are gone', async () => {
  people = await startTestPeople({ uiPassword: undefined })
  const first = people.people.firstPassword?.password ?? ''
  expect((await people.logIn(first)).statusCode).toBe(200)
  const { read, write } = people.store
  await write([read.deleteFrom('user_secrets').compile(), read.deleteFrom('users').compile()])
  await people.restart({ uiPassword: undefined })
  expect(people.people.firstPassword).toBeUndefined()
  expect((await people.logIn(first)).statusCode).toBe(401)
})

test('people behind one address do not slow each other down, up to what the address may try', async () => {
  people = await startTestPeople()
  for (let i = 0; i < 9; i++) await people.logIn('wrong', { username: 'somebody-else' })
  expect((await people.logIn('right-password')).statusCode).toBe(200)
})

test('no secret stands in the database as it is', async () => {
  people = await startTestPeople()
  const rows = await people.store.read.selectFrom('server_secrets').selectAll().execute()
  expect(rows.map(({ name }) => name).sort()).toEqual([
    'master-key-check',
    'people-sessions',
    'set-up-done',
    'ui-password-fingerprint',
  ])
  for (const { name, sealed } of rows) {
    const plain = await people.people.secrets.get(name)
    expect(Buffer.from(sealed).includes(plain!)).toBe(false)
  }
})

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startTestPeople, type TestPeople } from './testing/test-people.ts'
import { codeOf } from './totp.ts'

let people: TestPeople
let token: string
beforeEach(async () => {
  people = await startTestPeople()
  token = (await logIn()).json().token
})
afterEach(() => people.dispose())

const logIn = (code?: string) =>
  people.inject({
    method: 'POST',
    url: '/api/auth/login',
    payload: { username: 'admin', password: 'right-password', ...(code === undefined ? {} : { code }) },
  })
const post = (path: string, payload: object, as = token) =>
  people.inject({
    method: 'POST',
    url: `/api/auth/second-factor${path}`,
    headers: { authorization: `Bearer ${as}` },
    payload,
  })

/** As an app does. */
function fromBase32(text: string): Buffer {
  const bits = [...text]
    .map((sign) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(sign).toString(2).padStart(5, '0'))
    .join('')
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)))
}

let steps = 0
/** The app's code, half a minute after the last one was asked for. */
function nextCode(secret: string): string {
  people.wait(30_000)
  steps++
  return codeOf(fromBase32(secret), Math.floor(Date.now() / 30_000) + steps)
}

async function turnOn(): Promise<{ secret: string; recoveryCodes: string[] }> {
  steps = 0
  const { secret } = (await post('', { password: 'right-password' })).json()
  const { recoveryCodes } = (await post('/confirm', { code: nextCode(secret) })).json()
  return { secret, recoveryCodes }
}

describe('the codes', () => {
  // RFC 6238, appendix B, SHA-1, cut to six digits.
  test.each([
    [59, '287082'],
    [1_111_111_109, '081804'],
    [1_111_111_111, '050471'],
    [1_234_567_890, '005924'],
    [2_000_000_000, '279037'],
    [20_000_000_000, '353130'],
  ])('are those of RFC 6238 at %i s', (seconds, code) => {
    expect(codeOf(Buffer.from('12345678901234567890'), Math.floor(seconds / 30))).toBe(code)
  })
})

describe('a second factor', () => {
  test('counts once it was confirmed, and then a password alone is not enough', async () => {
    const { secret } = (await post('', { password: 'right-password' })).json()
    expect((await logIn()).statusCode).toBe(200)
    expect((await post('/confirm', { code: '000000' })).json().code).toBe('FLT_AUTH_CODE_INVALID')
    steps = 0
    expect((await post('/confirm', { code: nextCode(secret) })).json().recoveryCodes).toHaveLength(10)
    expect((await logIn()).json().code).toBe('FLT_AUTH_CODE_REQUIRED')
    expect((await logIn('000000')).json().code).toBe('FLT_AUTH_CODE_INVALID')
    expect((await logIn(nextCode(secret))).statusCode).toBe(200)
  })

  test('takes each code and each recovery code once, also from two at once', async () => {
    const { secret, recoveryCodes } = await turnOn()
    const code = nextCode(secret)
    const both = await Promise.all([logIn(code), logIn(code)])
    expect(both.map(({ statusCode }) => statusCode).sort()).toEqual([200, 401])
    const [first = ''] = recoveryCodes
    expect((await logIn(first.toUpperCase())).statusCode).toBe(200)
    expect((await logIn(first)).json().code).toBe('FLT_AUTH_CODE_INVALID')
  })

  test('cannot be guessed any faster than a password', async () => {
    const { secret } = await turnOn()
    const statuses: number[] = []
    for (let i = 0; i < 40; i++) statuses.push((await logIn(String(100_000 + i))).statusCode)
    expect(statuses.filter((status) => status === 401).length).toBeLessThanOrEqual(10)
    expect(statuses.at(-1)).toBe(429)
    expect((await logIn(nextCode(secret))).statusCode).not.toBe(500)
  })

  test('goes away by password and code alone, or by an admin', async () => {
    const { secret } = await turnOn()
    const wrong = await post('/remove', { password: 'right-password', code: '000000' })
    expect(wrong.json().code).toBe('FLT_AUTH_CODE_INVALID')
    const right = await post('/remove', { password: 'right-password', code: nextCode(secret) })
    expect(right.statusCode).toBe(200)
    expect((await logIn()).statusCode).toBe(200)

    token = (await logIn()).json().token
    await turnOn()
    const headers = { authorization: `Bearer ${token}` }
    const [user] = (await people.inject({ url: '/api/users', headers })).json().items
    const url = `/api/users/${user.id}/second-factor`
    expect((await people.inject({ method: 'DELETE', url, headers })).statusCode).toBe(200)
    expect((await logIn()).statusCode).toBe(200)
  })

  test('is nothing an API token may touch, and its secret is not readable in the database', async () => {
    const made = await people.inject({
      method: 'POST',
      url: '/api/tokens',
      headers: { authorization: `Bearer ${token}` },
      payload: { name: 'ci', role: 'admin', days: 1 },
    })
    const refused = await post('', { password: 'right-password' }, made.json().token)
    expect(refused.json().code).toBe('FLT_TOKEN_NEEDS_LOGIN')
    const { secret, recoveryCodes } = await turnOn()
    const [row] = await people.store.read.selectFrom('user_totp').selectAll().execute()
    expect(Buffer.from(row?.sealed ?? '').includes(fromBase32(secret))).toBe(false)
    const hashes = JSON.stringify(
      await people.store.read.selectFrom('user_recovery_codes').selectAll().execute(),
    )
    expect(hashes).not.toContain(recoveryCodes[0])
  })
})

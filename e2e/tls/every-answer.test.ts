import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Authority, createAuthority, opensslProblem } from './certificates.ts'
import { password, startTlsServer, type TlsAnswer, type TlsServer } from './tls-server.ts'

const problem = opensslProblem()
if (problem !== undefined) console.warn(`Skipped: every answer over TLS. ${problem}`)

interface Asked {
  readonly method: string
  readonly path: string
}

const json = { 'content-type': 'application/json' }
const hsts = 'max-age=31536000; includeSubDomains'

describe.skipIf(problem !== undefined)('a server with a certificate of its own', () => {
  let authority: Authority
  let server: TlsServer
  let cookie: string
  let routes: readonly Asked[]

  beforeAll(async () => {
    authority = createAuthority('Example Authority')
    server = await startTlsServer(authority.sign('server', { names: 'DNS:localhost' }), authority.pem)
    const answer = await logIn()
    cookie = String(answer.headers['set-cookie']).split(';', 1)[0] ?? ''
    const document = await server.ask('GET', '/api/openapi.json', { headers: { cookie } })
    const paths = JSON.parse(document.body).paths as Record<string, object>
    routes = Object.entries(paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => ({
        method: method.toUpperCase(),
        path: path.replace(/\{\w+\}/g, 'x'),
      })),
    )
  })
  afterAll(async () => {
    await server?.stop()
    authority?.remove()
  })

  const logIn = (headers: Readonly<Record<string, string>> = {}): Promise<TlsAnswer> =>
    server.ask('POST', '/api/auth/login', {
      headers: { ...json, ...headers },
      body: JSON.stringify({ username: 'admin', password }),
    })
  const sessionEnds = ({ method, path }: Asked): boolean =>
    method === 'POST' && /^\/api\/auth\/(logout|password)/.test(path)
  const ask = ({ method, path }: Asked, headers: Readonly<Record<string, string>>): Promise<TlsAnswer> => {
    const isRead = method === 'GET' || method === 'HEAD'
    return server.ask(
      method,
      path,
      isRead ? { headers } : { headers: { ...json, 'content-length': '2', ...headers }, body: '{}' },
    )
  }

  test('says on every route to everybody that browsers are to stay with https', async () => {
    const others = [
      ...['/', '/agents/vm-01', '/nothing.js', '/assets/none.css', '/api/nothing', '/api/docs', '/%00'],
      ...['/install/agent.sh', '/install/release.json', '/install/none', '/api/../etc/passwd'],
    ].map((path) => ({ method: 'GET', path }))
    expect(routes.length).toBeGreaterThan(60)
    const without: string[] = []
    for (const asked of [...routes, ...others])
      for (const headers of [{}, { cookie }] as readonly Record<string, string>[]) {
        if (headers.cookie !== undefined && sessionEnds(asked)) continue
        const answer = await ask(asked, headers)
        if (answer.headers['strict-transport-security'] !== hsts)
          without.push(`${asked.method} ${asked.path} (${answer.status})`)
      }
    expect(without).toEqual([])
    // So the second round was that of somebody who is signed in, to its end.
    expect((await ask({ method: 'GET', path: '/api/auth/me' }, { cookie })).status).toBe(200)
  })

  test.each(['/api/ws', '/api/agent/connect', '/api/none'])(
    'also where it refuses to upgrade %s',
    async (path) => {
      const answer = await server.ask('GET', path, {
        headers: {
          ...{ connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' },
          'sec-websocket-key': Buffer.alloc(16).toString('base64'),
        },
      })
      expect([answer.status, answer.headers['strict-transport-security']]).toEqual([
        path === '/api/none' ? 404 : 401,
        hsts,
      ])
    },
  )

  test('also to what is no request at all', async () => {
    // A body that no header announces is read as the next request.
    const answer = await server.ask('DELETE', '/api/agents/x', { headers: json, body: '{}' })
    expect(answer).toMatchObject({ status: 400, headers: { 'strict-transport-security': hsts } })
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'FLT_HTTP_MALFORMED' })
    const long = await server.ask('GET', '/', { headers: { 'x-long': 'x'.repeat(20_000) } })
    expect(long).toMatchObject({ status: 431, headers: { 'strict-transport-security': hsts } })
  })

  test('gives a cookie that https alone, this host alone and no script can have, and takes no other', async () => {
    const given = String((await logIn()).headers['set-cookie'])
    const [pair = '', ...attributes] = given.split('; ')
    expect(pair).toMatch(/^__Host-fleet_session=[\w.-]{20,}$/)
    expect(attributes).toEqual(expect.arrayContaining(['Path=/', 'HttpOnly', 'Secure']))
    expect(attributes.join()).toMatch(/SameSite=(Lax|Strict)/)
    expect(attributes.join()).not.toMatch(/Domain=/i)
    const me = (name: string) => server.ask('GET', '/api/auth/me', { headers: { cookie: name } })
    expect((await me(pair)).status).toBe(200)
    // The name without the prefix is what anybody on a neighbouring host could set.
    expect((await me(pair.replace('__Host-', ''))).status).toBe(401)
    const left = await server.ask('POST', '/api/auth/logout', {
      headers: { ...json, cookie: pair },
      body: '{}',
    })
    expect(String(left.headers['set-cookie'])).toMatch(/^__Host-fleet_session=;.*Path=\/.*Secure/)
    expect((await me(pair)).status).toBe(401)
  })

  test('never sets a cookie without these, whatever is asked', async () => {
    const weak: string[] = []
    for (const asked of routes.filter((one) => !sessionEnds(one))) {
      const set = (await ask(asked, { cookie })).headers['set-cookie'] ?? []
      for (const line of set)
        if (!/^__Host-.*; Secure/.test(line)) weak.push(`${asked.method} ${asked.path}: ${line}`)
    }
    expect(weak).toEqual([])
  })
})

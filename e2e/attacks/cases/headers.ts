import { request } from 'node:http'
import type { Attack } from '../attack.ts'
import type { Target } from '../target.ts'

type Headers = Readonly<Record<string, string | string[] | undefined>>
interface Asked {
  readonly name: string
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** Every route of the live OpenAPI document, with a session and without, and what answers beside the routes: pages, files, errors. */
export const headersAttack: Attack = {
  name: 'headers',
  title: 'the headers of every route, file and error',
  required: '0 answers without the headers that protect a browser',
  async run(target) {
    const wrong: string[] = []
    const asked = [...(await routes(target)), ...(await others(target))]
    for (const one of asked)
      for (const [who, authorization] of [
        ['nobody', undefined],
        ['an admin', `Bearer ${target.admin.token}`],
      ] as const) {
        const { status, headers } = await ask(target.url, one, authorization)
        for (const problem of problems(one, status, headers))
          wrong.push(`${one.name} as ${who} (${status}): ${problem}`)
      }
    const more = wrong.length === 0 ? '' : `: ${wrong.slice(0, 8).join('; ')}`
    return {
      passed: wrong.length === 0 && asked.length > 40,
      reached: `${wrong.length} of ${asked.length * 2} answers${more}`,
    }
  },
}

async function routes({ admin }: Target): Promise<Asked[]> {
  const { body } = await admin.request<{ paths: Record<string, Record<string, unknown>> }>(
    'GET',
    '/api/openapi.json',
  )
  return Object.entries(body.paths).flatMap(([path, operations]) =>
    Object.keys(operations)
      // Logging the suite itself out would end it.
      .filter((method) => !(method === 'post' && /logout|sessions/.test(path)) && method !== 'delete')
      .map((method) => ({
        name: `${method.toUpperCase()} ${path}`,
        method: method.toUpperCase(),
        path: path.replace(/\{\w+\}/g, 'x'),
        ...(method === 'get' || method === 'head' ? {} : { body: '{"not":"what it wants"}', headers: json }),
      })),
  )
}

const json = { 'content-type': 'application/json' }

async function others({ url }: Target): Promise<Asked[]> {
  const page = await (await fetch(`${url}/`)).text()
  const files = [...page.matchAll(/(?:src|href)="(\/?[^":]+\.(?:js|css|svg|ico|png))"/g)].map(
    ([, path = '']) => path,
  )
  const gets = [
    '/',
    '/agents/x',
    '/nothing.js',
    '/assets/nothing.css',
    '/api/nothing',
    '/api/docs',
    '/api/../etc/passwd',
    '/%00',
    '/%2e%2e/x',
    ...files,
  ]
  return [
    ...gets.map((path) => ({
      name: `GET ${path}`,
      method: 'GET',
      path: path.startsWith('/') ? path : `/${path}`,
    })),
    { name: 'HEAD /', method: 'HEAD', path: '/' },
    { name: 'OPTIONS of an API route', method: 'OPTIONS', path: '/api/agents' },
    { name: 'a method nobody serves', method: 'PUT', path: '/api/agents' },
    { name: 'a body that is no JSON', method: 'POST', path: '/api/auth/login', headers: json, body: '{' },
    {
      name: 'a body of another type',
      method: 'POST',
      path: '/api/auth/login',
      headers: { 'content-type': 'text/plain' },
      body: 'x',
    },
    {
      name: 'a body that is too large',
      method: 'POST',
      path: '/api/auth/login',
      headers: json,
      body: `"${'x'.repeat(2_000_000)}"`,
    },
    { name: 'a poll that nobody signed', method: 'POST', path: '/api/agent/poll', headers: json, body: '{}' },
  ]
}

function* problems({ path }: Asked, status: number, headers: Headers): Generator<string> {
  const value = (name: string): string => String(headers[name] ?? '')
  if (value('x-content-type-options') !== 'nosniff') yield 'no nosniff'
  if (value('x-frame-options') !== 'DENY') yield 'can be framed'
  if (value('referrer-policy') !== 'no-referrer') yield 'tells the referrer'
  if (value('cross-origin-opener-policy') !== 'same-origin') yield 'no opener policy'
  if (value('cross-origin-resource-policy') !== 'same-origin') yield 'no resource policy'
  const policy = value('content-security-policy')
  if (!/frame-ancestors 'none'/.test(policy)) yield 'no frame-ancestors'
  if (!/default-src '(none|self)'/.test(policy)) yield 'no default-src'
  if (/script-src[^;]*'unsafe-|unsafe-eval/.test(policy)) yield 'unsafe scripts'
  if (path.startsWith('/api') && value('cache-control') !== 'no-store')
    yield `cache-control is "${value('cache-control')}"`
  for (const name of ['x-powered-by', 'server']) if (headers[name] !== undefined) yield `tells ${name}`
  if (headers['access-control-allow-origin'] !== undefined) yield 'lets other origins read'
  if (status >= 500 && status !== 503) yield 'an error of the server'
}

function ask(
  url: string,
  { method, path, headers = {}, body = '' }: Asked,
  authorization: string | undefined,
): Promise<{ status: number; headers: Headers }> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const outgoing = request({
      ...{ hostname, port, method, path },
      headers: { ...headers, ...(authorization === undefined ? {} : { authorization }) },
    })
    outgoing.on('response', (answer) => {
      resolve({ status: answer.statusCode ?? 0, headers: answer.headers })
      answer.destroy()
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

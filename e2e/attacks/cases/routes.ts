import { createHmac } from 'node:crypto'
import { type FleetClient, logIn } from '@fleetupdate/sdk/testing'
import type { Attack } from '../attack.ts'
import { type Identity, sign } from '../hostile-agent.ts'
import type { Target } from '../target.ts'

interface RouteUnderTest {
  readonly method: string
  readonly path: string
  /** A role, `agent` or `public`. */
  readonly rule: string
}

/** Every route of the live OpenAPI document with every credential that is not one. */
export const routesAttack: Attack = {
  name: 'routes',
  title: 'every route × every bad credential',
  required: '0 unexpected 2xx, 0 answers of 5xx',
  async run(target) {
    const routes = await readRoutes(target)
    const agent = await target.enrol('routes-agent')
    let tries = 0
    const wrong: string[] = []
    const attempt = async (
      route: RouteUnderTest,
      name: string,
      headers: Record<string, string>,
    ): Promise<void> => {
      tries++
      const { status, code } = await ask(target.url, route, headers)
      const isRefused = status === 401 || status === 403 || code === 'FLT_PLUGIN_UNAVAILABLE'
      if (!isRefused) wrong.push(`${route.method} ${route.path} with ${name}: ${status}`)
    }
    for (const route of routes) {
      if (route.rule === 'public') continue
      const credentials =
        route.rule === 'agent' ? { ...people(target.admin), nothing: {} } : await forged(target, agent, route)
      for (const [name, headers] of Object.entries(credentials)) await attempt(route, name, headers)
      if (route.rule === 'operator' || route.rule === 'admin')
        await attempt(route, 'a viewer', { authorization: `Bearer ${target.viewer.token}` })
    }
    const ruled = routes.filter(({ rule }) => rule !== 'public').length
    if (ruled < 20) wrong.push(`only ${ruled} routes with a rule were found`)
    const more = wrong.length === 0 ? '' : `: ${wrong.slice(0, 5).join('; ')}`
    return {
      passed: wrong.length === 0,
      reached: `${wrong.length} of ${tries} tries on ${ruled} routes${more}`,
    }
  },
}

async function readRoutes({ admin }: Target): Promise<readonly RouteUnderTest[]> {
  type Operation = { readonly 'x-role'?: string; readonly 'x-rule'?: string }
  const { body } = await admin.request<{ paths: Record<string, Record<string, Operation>> }>(
    'GET',
    '/api/openapi.json',
  )
  return Object.entries(body.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path: path.replace(/\{\w+\}/g, 'x'),
      // A route that says nothing about itself is treated as one for admins.
      rule: operation['x-role'] ?? operation['x-rule'] ?? 'admin',
    })),
  )
}

function people({ token }: FleetClient): Record<string, Record<string, string>> {
  return { "an admin's session": { authorization: `Bearer ${token}` } }
}

let kept: Record<string, Record<string, string>> | undefined

async function forged(
  target: Target,
  agent: Identity,
  { method, path }: RouteUnderTest,
): Promise<Record<string, Record<string, string>>> {
  kept ??= await prepare(target)
  const body = method === 'GET' || method === 'HEAD' ? '' : '{}'
  const { host: _host, ...signed } = sign(agent, target.url, { method, path, body }).headers
  return { ...kept, "an agent's signature": signed }
}

async function prepare(target: Target): Promise<Record<string, Record<string, string>>> {
  const { admin, url } = target
  const [, claims = ''] = admin.token.split('.')
  const token = (header: object, key: string | undefined): string => {
    const text = `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${claims}`
    return `${text}.${key === undefined ? '' : createHmac('sha256', key).update(text).digest('base64url')}`
  }
  const ended = await logIn(url, 'viewer', String(target.secrets.get("the viewer's password")))
  await ended.request('POST', '/api/auth/logout')
  const made = await admin.request<{ id: string; token: string }>('POST', '/api/tokens', {
    name: 'x',
    role: 'admin',
    days: 1,
  })
  await admin.request('DELETE', `/api/tokens/${made.body.id}`)
  target.secrets.set('an API token', made.body.token)
  const bearer = (text: string): Record<string, string> => ({ authorization: `Bearer ${text}` })
  return {
    nothing: {},
    'an empty bearer': { authorization: 'Bearer ' },
    'a random bearer': bearer('x'.repeat(200)),
    'a token without signature': bearer(token({ alg: 'none', typ: 'JWT' }, undefined)),
    'a token signed with another key': bearer(token({ alg: 'HS256', typ: 'JWT' }, 'secret')),
    'a token signed with the empty key': bearer(token({ alg: 'HS256', typ: 'JWT' }, '')),
    'a token of another algorithm': bearer(token({ alg: 'HS512', typ: 'JWT' }, 'secret')),
    'a changed token': bearer(`${admin.token.slice(0, -4)}AAAA`),
    'a session that ended': bearer(ended.token),
    'an API token that ended': bearer(made.body.token),
    'an API token with a guessed secret': bearer(`flt_${made.body.id}_${'0'.repeat(48)}`),
    'basic authentication': { authorization: `Basic ${Buffer.from('admin:admin').toString('base64')}` },
    'a session in the wrong scheme': { authorization: `Token ${admin.token}` },
    'an empty cookie': { cookie: 'fleet_session=' },
    'a random cookie': { cookie: 'fleet_session=abc.def.ghi; __Host-fleet_session=abc' },
    'the cookie of a session that ended': { cookie: `fleet_session=${ended.token}` },
    'SERVER_PSK as a bearer': bearer(String(target.secrets.get('SERVER_PSK'))),
  }
}

async function ask(
  url: string,
  { method, path }: RouteUnderTest,
  headers: Record<string, string>,
): Promise<{ status: number; code: string }> {
  const hasBody = method !== 'GET' && method !== 'HEAD'
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { ...(hasBody ? { 'content-type': 'application/json' } : {}), ...headers },
    ...(hasBody ? { body: '{}' } : {}),
  })
  const text = await response.text()
  const code = /"code":"(FLT_\w+)"/.exec(text)?.[1] ?? ''
  return { status: response.status, code }
}

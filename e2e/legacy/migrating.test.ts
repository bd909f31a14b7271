import { createHmac } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findPrograms, startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runNode } from '../authors/run-program.ts'
import { builtIns, repository } from '../repository.ts'

const page = readFileSync(join(repository, 'docs/migrating.md'), 'utf8')
const secret = 'the psk of the first FleetUpdate'
let fleet: TestFleet
let dir: string

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'migrating-'))
  fleet = await startTestFleet({ ...builtIns, agents: [] })
})
afterAll(async () => {
  await fleet?.stop()
  rmSync(dir, { recursive: true, force: true })
})

/** The rows of the tables below a heading: their cells, as they stand. */
function rowsBelow(heading: string): readonly (readonly string[])[] {
  const [, section = ''] = page.split(`## ${heading}\n`)
  const [body = ''] = section.split('\n## ')
  return body
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| ---'))
    .map((line) => line.slice(2, -2).split(' | '))
}
const namesIn = (cell = ''): readonly string[] =>
  [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)
const check = (env: Readonly<Record<string, string>>) =>
  runNode(findPrograms().server, ['config', 'check'], dir, { DATA_DIR: join(dir, 'data'), ...env })

describe('every setting of the old server', () => {
  const values: Readonly<Record<string, string>> = {
    SERVER_PSK: secret,
    UI_USER: 'olga',
    UI_PASSWORD: 'correct horse',
    UI_PASSWORD_HASH: 'bcrypt:$2b$04$8jluQ2k7luUVciVSqx1A4OXgV7U0J8t5XDcEI8NsXmQFp9hPvWQT6',
    JWT_SECRET: '0123456789abcdef',
    HOST: '0.0.0.0',
    PORT: '8000',
    DATABASE_URL: 'sqlite+aiosqlite:////opt/orchestrator/orchestrator.db',
    CORS_ORIGINS: 'https://portal.example.com',
    ALLOWED_HOSTS: '*',
  }

  test('is in the table, and is taken', async () => {
    const named = rowsBelow('Settings of the server').flatMap(([name]) => namesIn(name))
    expect(new Set(named)).toEqual(new Set(Object.keys(values)))
    expect(await check(values)).toMatchObject({ code: 0 })
  })

  test.each([
    ['CORS_ORIGINS', '*'],
    ['JWT_SECRET', 'too short'],
    ['DATABASE_URL', 'postgresql://db/fleet'],
    ['PORT', '80000'],
    ['UI_PASSWORD_HASH', 'md5:0'],
  ])('is refused with its name where %s=%s', async (name, value) => {
    expect(await check({ ...values, [name]: value })).toMatchObject({
      code: 2,
      output: expect.stringMatching(new RegExp(`^FLT_CONFIG_INVALID: .*${name}`)),
    })
  })
})

test('every setting of the old agent is read as it is, and what nobody knows is named', async () => {
  const named = rowsBelow('Settings of the agent').flatMap(([name]) => namesIn(name))
  expect(named).toEqual(['agent.id', 'agent.server_url', 'agent.psk', 'agent.poll_interval', 'apps'])
  const config = join(dir, 'config.yaml')
  const lines = [
    ...['agent:', '  id: old-vm', `  server_url: ${fleet.url}`, '  psk: a-secret-for-tests-0123456789'],
    ...['  poll_interval: 15', '  retries: 3', 'apps:', '  - name: shop', '    version: "1.2"'],
  ]
  writeFileSync(config, `${lines.join('\n')}\n  `, { mode: 0o600 })
  const { output } = await runNode(findPrograms().agent, ['doctor', '--json'], dir, { AGENT_CONFIG: config })
  const { findings } = JSON.parse(output) as { findings: { check: string; level: string; says: string }[] }
  expect(findings.filter(({ check }) => check === 'config')).toEqual([
    expect.objectContaining({ level: 'ok', says: config }),
    expect.objectContaining({ level: 'warn', says: expect.stringContaining('"agent.retries" is unknown') }),
  ])
})

test('every route that the page names is there', async () => {
  const { client } = fleet
  const { body } = await client.request<{ paths: Record<string, Record<string, unknown>> }>(
    'GET',
    '/api/openapi.json',
  )
  const known = Object.entries(body.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path.replace(/\{\w+\}/g, ':')}`),
  )
  // The agents' own, which the specification of the protocol describes.
  const ofAgents = ['POST /api/agent/enroll', 'GET /api/agent/connect', 'POST /api/agent/poll']
  const named = [...page.matchAll(/`((?:GET|POST|PUT|DELETE) \/[^`\s]+)`/g)].map(([, route = '']) =>
    route.replace(/:\w+|\{\w+\}/g, ':'),
  )
  expect(named.length).toBeGreaterThan(25)
  const old = rowsBelow('Routes of the old agents')
    .flatMap(([route]) => namesIn(route))
    .filter((route) => /^(GET|POST) /.test(route))
    .map((route) => route.replace(/\{\w+\}/g, ':'))
  expect(old).toHaveLength(4)
  const missing = named.filter((route) => ![...known, ...ofAgents, ...old].includes(route))
  expect(missing.filter((route) => !route.includes('/api/plugins/legacy-agents/'))).toEqual([])
})

test('the old agents’ routes answer 503 until the plugin is on, and other old paths 404', async () => {
  for (const [method, path] of [
    ['POST', '/api/heartbeat'],
    ['GET', '/api/agents/old-01/next-command'],
    ['POST', '/api/command-chunk'],
    ['POST', '/api/command-result'],
  ] as const)
    expect(await fleet.client.request(method, path, method === 'POST' ? {} : undefined), path).toMatchObject({
      status: 503,
      body: { code: 'FLT_PLUGIN_UNAVAILABLE' },
    })
  expect(await fleet.client.request('GET', '/api/dashboard/summary')).toMatchObject({
    status: 404,
    body: { code: 'FLT_HTTP_NOT_FOUND' },
  })
})

test('figures have the members they had', async () => {
  const { body } = await fleet.client.request<object>('GET', '/api/metrics')
  const [, named = ''] = /`GET \/api\/metrics` \(JSON: ([^)]+)\)/.exec(page) ?? []
  expect(Object.keys(body).sort()).toEqual([...namesIn(named)].sort())
})

describe('what an old agent says', () => {
  const update: Readonly<Record<string, unknown>> = {
    pkg_manager: 'apt',
    upgrades: ['curl/stable 7.88.1-10+deb12u12 amd64 [upgradable from: 7.88.1-10+deb12u8]'],
    ...{ status: 'fine', sudo_apt_ok: true, os_version: 'Debian 11', arch: 'x86_64' },
    ...{ kernel: '5.10.0-33', hostname: 'old-host', uptime_seconds: 4711 },
  }
  const beat: Readonly<Record<string, unknown>> = {
    ...{ agent_id: 'old-01', agent_version: '1.4.2', apps: [{ name: 'shop' }], logs: ['a line'] },
    os_update: update,
  }
  const signedCall = async (method: string, path: string, value?: object): Promise<unknown> => {
    const body = value === undefined ? undefined : JSON.stringify(value)
    const headers = {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      'x-agent-id': 'old-01',
      'x-signature': createHmac('sha256', secret)
        .update(body ?? '{}')
        .digest('hex'),
    }
    const answer = await fetch(`${fleet.url}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
    })
    expect(answer.status, path).toBe(200)
    return answer.json()
  }

  test('becomes the facts that the table names, member by member', async () => {
    const { client } = fleet
    await client.request('POST', '/api/admin/plugins/legacy-agents/enable')
    await client.request('PUT', '/api/plugins/legacy-agents/secret', { secret })
    await signedCall('POST', '/api/heartbeat', beat)
    const agent = await client.until('its facts', async () => {
      const found = await client.agent('old-01')
      return found?.facts['os-updates']?.updates !== undefined && found
    })
    const rows = rowsBelow('Routes of the old agents').filter(([member = '']) =>
      /^`(os_update\.\w+|apps|logs|agent_\w+)`$/.test(member),
    )
    const members = [
      ...Object.keys(beat).filter((name) => name !== 'os_update'),
      ...Object.keys(update).map((name) => `os_update.${name}`),
    ]
    expect(rows.flatMap(([member]) => namesIn(member)).sort()).toEqual(members.sort())
    for (const [member = '', becomes = ''] of rows) {
      const [, plugin = '', fact = '', path = ''] = /^`([\w-]+)\.(\w+)` → `([\w.]+)`/.exec(becomes) ?? []
      if (plugin === '') continue
      const at = (value: unknown, key: string): unknown =>
        typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined
      const found = path.split('.').reduce(at, agent.facts[plugin]?.[fact])
      const [name = ''] = namesIn(member)
      const said = name.startsWith('os_update.') ? update[name.slice('os_update.'.length)] : beat[name]
      if (name === 'os_update.upgrades')
        expect(found).toMatchObject([
          { name: 'curl', current: '7.88.1-10+deb12u8', candidate: '7.88.1-10+deb12u12' },
        ])
      else expect(found, name).toEqual(said)
    }
    expect(agent.agentVersion).toBe('1.4.2')
    expect(JSON.stringify([agent.facts, agent.apps])).not.toMatch(/shop|a line/)
    expect(agent.facets['os-updates.outdated']).toBe(true)
    // The age of its index is unknown, so that it is up to date is never claimed.
    await signedCall('POST', '/api/heartbeat', { ...beat, os_update: { ...update, upgrades: [] } })
    await client.until('that it cannot be told', async () => {
      const facets = (await client.agent('old-01'))?.facets
      return (facets?.['os-updates.outdated'] ?? null) === null
    })
  })

  test('of a command, a chunk and a result means what the table says', async () => {
    const { client } = fleet
    const words: Readonly<Record<string, string>> = {
      'apt-upgrade.run': 'apt_upgrade',
      'sudo-check.check': 'sudo_check',
    }
    const ends: readonly (readonly [command: string, input: object, status: string, state: string])[] = [
      ['apt-upgrade.run', { mode: 'all' }, 'success', 'succeeded'],
      ['sudo-check.check', {}, 'timeout', 'timed_out'],
      ['sudo-check.check', {}, 'no idea', 'failed'],
    ]
    for (const [command, input, status, state] of ends) {
      const { id } = await client.submit('old-01', command, input)
      const next = await client.until('the command', async () => {
        const answer = (await signedCall('GET', '/api/agents/old-01/next-command')) as {
          command: object | null
        }
        return answer.command ?? undefined
      })
      expect(next).toEqual({ command_id: id, command: words[command], commands: [] })
      const isChunked = state === 'succeeded'
      if (isChunked)
        await signedCall('POST', '/api/command-chunk', { command_id: id, chunk: 'from a chunk\n' })
      await signedCall('POST', '/api/command-result', {
        ...{ command_id: id, status, output: ['from the result'], duration: 3, logs: ['dropped'] },
      })
      const ended = await client.finished(id)
      expect(ended).toMatchObject({
        state,
        ...(state === 'failed' ? { reason: 'The old agent says: no idea' } : {}),
      })
      const output = await client.request<string>('GET', `/api/commands/${id}/output`)
      expect(output.body).toBe(isChunked ? 'from a chunk\n' : 'from the result\n')
    }
  })
})

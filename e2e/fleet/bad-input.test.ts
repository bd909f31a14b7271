import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { builtIns, repository } from '../repository.ts'

let fleet: TestFleet
let dir: string

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'bad-'))
  fleet = await startTestFleet({ ...builtIns, agents: ['vm-01'] })
})

afterAll(async () => {
  await fleet?.stop()
  rmSync(dir, { recursive: true, force: true })
})

describe('a bad request gets one clear coded answer', () => {
  const commands = '/api/agents/vm-01/commands'
  const cases: readonly [string, string, string, unknown, number, string][] = [
    ['an unknown agent', 'GET', '/api/agents/nobody', undefined, 404, 'FLT_AGENT_UNKNOWN'],
    [
      'a command for an unknown agent',
      'POST',
      '/api/agents/nobody/commands',
      { command: 'os-updates.refresh', input: {} },
      404,
      'FLT_AGENT_UNKNOWN',
    ],
    [
      'an unknown command',
      'POST',
      commands,
      { command: 'os-updates.refrsh', input: {} },
      404,
      'FLT_COMMAND_UNKNOWN',
    ],
    [
      'a wrong input type',
      'POST',
      commands,
      { command: 'apt-upgrade.run', input: { mode: 7 } },
      400,
      'FLT_COMMAND_INPUT',
    ],
    [
      'an unknown input member',
      'POST',
      commands,
      { command: 'apt-upgrade.run', input: { mode: 'all', x: 1 } },
      400,
      'FLT_COMMAND_INPUT',
    ],
    ['a wrong member of the request', 'POST', commands, { comand: 'x' }, 400, 'FLT_HTTP_INVALID'],
    ['malformed JSON', 'POST', commands, '{"command":', 400, 'FLT_HTTP_BODY_INVALID'],
    [
      'an oversized body',
      'POST',
      commands,
      { command: 'x'.repeat(3_000_000) },
      413,
      'FLT_HTTP_BODY_TOO_LARGE',
    ],
    ['an unknown route', 'GET', '/api/nothing', undefined, 404, 'FLT_HTTP_NOT_FOUND'],
    [
      'an unknown command id',
      'GET',
      '/api/commands/01890000-0000-7000-8000-000000000000',
      undefined,
      404,
      'FLT_COMMAND_NOT_FOUND',
    ],
    ['an unknown filter', 'GET', '/api/agents?filter=nonsense', undefined, 400, 'FLT_FILTER_UNKNOWN'],
    ['a cursor of its own making', 'GET', '/api/agents?cursor=%00%ff', undefined, 400, 'FLT_CURSOR_INVALID'],
    [
      'an unsigned poll',
      'POST',
      '/api/agent/poll',
      { boot: '', wait: 0, frames: [] },
      401,
      'FLT_AUTH_SIGNATURE',
    ],
  ]
  test.each(cases)('%s', async (_title, method, path, body, status, code) => {
    const answer = await fleet.client.request<{ code: string; message: string }>(method, path, body)
    expect(answer.status).toBe(status)
    expect(answer.body.code).toBe(code)
    expect(answer.body.message.length).toBeGreaterThan(10)
    expect(JSON.stringify(answer.body)).not.toMatch(/\bat .*\.(js|ts):\d+/)
  })

  test('no login, and a wrong password', async () => {
    const answer = await fetch(`${fleet.url}/api/agents`)
    expect(answer.status).toBe(401)
    const wrong = await fleet.client.request('POST', '/api/auth/login', {
      username: 'admin',
      password: 'wrong',
    })
    expect(wrong).toMatchObject({ status: 401, body: { code: 'FLT_AUTH_INVALID' } })
  })

  test('an id that is already enrolled', async () => {
    const body = {
      step: 'start',
      agentId: 'vm-01',
      secretId: 'psk',
      agentKey: Buffer.alloc(32, 9).toString('base64url'),
    }
    const answer = await fleet.client.request('POST', '/api/agent/enroll', body)
    expect(answer).toMatchObject({ status: 409, body: { code: 'FLT_ENROL_ID_TAKEN' } })
  })
})

const exitCode = { usage: 2, refused: 3 }

describe('a server that cannot start says why in one line', () => {
  const environment = { PATH: process.env.PATH ?? '', UI_PASSWORD: 'a password for tests', HOST: '127.0.0.1' }
  const start = (env: Record<string, string>) =>
    spawnSync(process.execPath, [join(repository, 'core/dist/main.js')], {
      env: { ...environment, ...env },
      timeout: 20_000,
      encoding: 'utf8',
    })
  const complaint = (
    { stderr, status }: { stderr: string; status: number | null },
    expected: number = exitCode.refused,
  ): string => {
    expect(status).toBe(expected)
    expect(stderr).not.toMatch(/^\s+at /m)
    return stderr
  }

  test('where the port is taken', async () => {
    const holder = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => holder.once('listening', resolve))
    const { port } = holder.address() as { port: number }
    try {
      expect(complaint(start({ DATA_DIR: join(dir, 'port'), PORT: String(port) }))).toContain(
        'FLT_START_PORT_TAKEN',
      )
    } finally {
      holder.close()
    }
  })

  test('where a setting is wrong', () => {
    expect(complaint(start({ DATA_DIR: join(dir, 'setting'), PORT: 'abc' }), exitCode.usage)).toMatch(
      /FLT_CONFIG_INVALID: PORT: .*"abc"/,
    )
  })

  test('where the data folder cannot be written', () => {
    writeFileSync(join(dir, 'file'), '')
    expect(complaint(start({ DATA_DIR: join(dir, 'file/data'), PORT: '0' }))).toContain('FLT_START_DATA_DIR')
  })

  test('where the database is damaged, which stays as it is', () => {
    const data = join(dir, 'damaged')
    mkdirSync(data)
    writeFileSync(
      join(data, 'core.db'),
      'this is no database, and it is long enough to have a header of one hundred bytes, more or less ......',
    )
    chmodSync(data, 0o700)
    expect(complaint(start({ DATA_DIR: data, PORT: '0' }))).toContain('FLT_STORE_CORRUPT')
  })
})

describe('an agent that cannot start says why in one line', () => {
  test.each([
    ['broken YAML', 'agent: [', /config\.yaml/],
    [
      'a wrong value',
      'agent:\n  id: "not a good id!"\n  server_url: http://127.0.0.1:1\n  psk: x\n',
      /agent\.id/,
    ],
    ['a missing key', 'agent:\n  id: vm-09\n', /agent\.server_url/],
  ])('%s', (_title, yaml, expected) => {
    const file = join(dir, 'config.yaml')
    writeFileSync(file, yaml)
    const env = { PATH: process.env.PATH ?? '', AGENT_CONFIG: file, NO_PROMPT: '1' }
    const { stderr, status } = spawnSync(process.execPath, [join(repository, 'agent/dist/main.js')], {
      env,
      timeout: 20_000,
      encoding: 'utf8',
    })
    expect(status).not.toBe(0)
    expect(stderr).toMatch(expected)
    expect(stderr).not.toMatch(/^\s+at /m)
  })
})

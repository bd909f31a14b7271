import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { enrol } from '../agents/testing/wire-agent.ts'
import { type App, buildApp } from '../app.ts'
import { consoleUserHeader } from '../auth/console-peers.ts'
import { readConfig } from '../config-load.ts'
import { createLog } from '../log.ts'
import { runInWorld } from './testing/test-world.ts'
import type { World } from './verb.ts'

const log = createLog(() => {})
let dir: string
let app: App | undefined
let url: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cli-'))
})

afterEach(async () => {
  await app?.dispose()
  app = undefined
  rmSync(dir, { recursive: true, force: true })
})

const env = () => ({ DATA_DIR: dir, UI_PASSWORD: 'a password for tests', HOST: '127.0.0.1', PORT: '0' })
const run = (args: string, more: Partial<World> = {}) => runInWorld(args.split(' '), { env: env(), ...more })
const json = async (args: string, more: Partial<World> = {}) => {
  const { code, out, err } = await run(`${args} --json`, more)
  expect(err).toBe('')
  return { code, ...JSON.parse(out) }
}

async function startServer(): Promise<void> {
  app = await buildApp(readConfig(env()), { log, onFatal: (error) => expect.unreachable(String(error)) })
  url = `http://127.0.0.1:${(await app.listen()).port}`
}

async function logIn(username: string, password: string): Promise<Response> {
  const body = JSON.stringify({ username, password })
  return fetch(`${url}/api/auth/login`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json' },
  })
}

async function auditRows(): Promise<readonly string[]> {
  const { out } = await run('audit export')
  return out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .map(({ actor, action, target }) => `${actor.type} ${actor.id} ${action} ${target}`)
}

describe.each([
  ['beside a server that runs', async () => startServer()],
  [
    'where no server runs',
    async () => {
      await startServer()
      await app?.dispose()
      app = undefined
    },
  ],
])('what is done %s', (_, prepare) => {
  test('to people, by the user of the operating system, is in the audit', async () => {
    await prepare()
    const added = await json('user add maria --role operator', { askSecret: async () => 'long enough 1' })
    expect(added).toMatchObject({ code: 0, name: 'maria', role: 'operator' })
    expect(await run('user role maria admin', { user: 'kim as root' })).toMatchObject({ code: 0 })
    expect((await json('user list')).items).toMatchObject([
      { name: 'admin', role: 'admin' },
      { name: 'maria', role: 'admin' },
    ])
    const { password } = await json('user password maria --generate')
    expect(password).toMatch(/^\w{5}-\w{5}-\w{5}-\w{5}$/)
    expect(await run('user reset-second-factor maria')).toMatchObject({ code: 0 })
    const { id, token } = await json('token create report --user maria --role operator')
    expect(token).toMatch(/^flt_/)
    expect(await run(`token end ${id}`)).toMatchObject({ code: 0 })
    expect(await run('user remove maria')).toMatchObject({ code: 0 })
    expect((await auditRows()).filter((row) => row.startsWith('console'))).toEqual([
      'console tess user.created maria',
      'console kim as root user.role-changed maria',
      'console tess password.changed maria',
      'console tess second-factor.removed maria',
      `console tess api-token.created ${id}`,
      `console tess api-token.ended ${id}`,
      'console tess user.removed maria',
    ])
  })

  test('and refused, ends with the code of the server', async () => {
    await prepare()
    expect(await run('user remove admin')).toMatchObject({
      code: 3,
      err: expect.stringContaining('FLT_USER_LAST_ADMIN'),
    })
    expect(await run('agent remove vm-01 --yes')).toMatchObject({
      code: 3,
      err: expect.stringContaining('FLT_AGENT_UNKNOWN'),
    })
    expect(await run('agent reset vm-01')).toMatchObject({
      code: 3,
      err: expect.stringContaining('FLT_CLI_NOT_CONFIRMED'),
    })
    expect(await run('user add x --role king')).toMatchObject({ code: 2 })
    expect(await run('user add maria')).toMatchObject({
      code: 3,
      err: expect.stringContaining('FLT_CLI_PASSWORD'),
    })
    expect(await run('agent invite vm-01 --hours 1000')).toMatchObject({
      code: 3,
      err: expect.stringContaining('FLT_CLI_NUMBER'),
    })
  })

  test('an invitation names this machine, and an id is invited only while it is free', async () => {
    await prepare()
    const { command, code } = await json('agent invite vm-01')
    expect(code).toBe(0)
    expect(command).toContain("SERVER_URL='http://127.0.0.1:")
    expect((await json('agent list')).items).toEqual([])
  })
})

test('a machine that waits is listed, and let in or refused by its id', async () => {
  await startServer()
  const token = async (): Promise<{ id: string; text: string }> => {
    const session = (await (await logIn('admin', 'a password for tests')).json()) as { token: string }
    const made = await app?.http.inject({
      method: 'POST',
      url: '/api/enrolment/tokens',
      headers: { authorization: `Bearer ${session.token}` },
      payload: { uses: 2, approval: true },
    })
    const [, id = '', text = ''] = /^fle_([A-Za-z0-9-]+)_(.+)$/.exec(made?.json().token) ?? []
    return { id, text }
  }
  expect(await run('agent waiting')).toMatchObject({ code: 0, out: 'No machine waits.\n' })
  expect(await run('agent approve vm-07')).toMatchObject({
    code: 3,
    err: expect.stringContaining('FLT_ENROL_REQUEST_UNKNOWN'),
  })
  const secret = await token()
  for (const agentId of ['vm-07', 'vm-08']) await enrol(url, agentId, secret).catch(() => undefined)
  expect((await json('agent waiting')).items).toMatchObject([{ agentId: 'vm-08' }, { agentId: 'vm-07' }])
  expect(await run('agent approve vm-07')).toMatchObject({ code: 0, out: 'vm-07 is let in.\n' })
  expect(await run('agent refuse vm-08')).toMatchObject({ code: 0, out: 'vm-08 was refused.\n' })
  expect((await json('agent waiting')).items).toEqual([])
})

test('a person who gets another password here is signed out of the running server, and in with the new one', async () => {
  await startServer()
  const { token } = (await (await logIn('admin', 'a password for tests')).json()) as { token: string }
  const me = () => fetch(`${url}/api/auth/me`, { headers: { authorization: `Bearer ${token}` } })
  expect((await me()).status).toBe(200)
  const { password } = await json('user password admin --generate')
  expect((await me()).status).toBe(401)
  expect((await logIn('admin', 'a password for tests')).status).toBe(401)
  expect((await logIn('admin', password)).status).toBe(200)
})

test('the header of the console counts for nothing over the network', async () => {
  await startServer()
  const answer = await fetch(`${url}/api/users`, { headers: { [consoleUserHeader]: 'root' } })
  expect(answer.status).toBe(401)
})

test('the socket lies in a folder that is closed to other users', async () => {
  await startServer()
  expect(statSync(join(dir, 'console')).mode & 0o777).toBe(0o700)
})

test('over the network it asks another server, with a token', async () => {
  await startServer()
  const { token } = await json('token create remote --user admin --role admin')
  const elsewhere = { env: { DATA_DIR: '/nonexistent', FLEET_TOKEN: token } }
  expect((await json(`user list --server ${url}`, elsewhere)).items).toHaveLength(1)
  const refused = await run(`user list --server ${url}`, { env: { FLEET_TOKEN: 'flt_wrong' } })
  expect(refused).toMatchObject({ code: 3, err: expect.stringContaining('FLT_AUTH_REQUIRED') })
  const nowhere = await run('user list --server http://127.0.0.1:1', elsewhere)
  expect(nowhere).toMatchObject({ code: 3, err: expect.stringContaining('FLT_CLI_SERVER') })
})

test('a backup of the running server goes where its caller may write, whole or not at all', async () => {
  await startServer()
  const target = mkdtempSync(join(tmpdir(), 'cli-backup-'))
  try {
    const { path, code } = await json(`backup ${target}`)
    expect(code).toBe(0)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(await run(`restore ${path} --only-verify`)).toMatchObject({ code: 0 })
    expect(await run(`backup ${path}`)).toMatchObject({
      code: 3,
      err: expect.stringContaining('FLT_BACKUP_EXISTS'),
    })
  } finally {
    rmSync(target, { recursive: true })
  }
})

test('two servers never work with one data folder', async () => {
  await startServer()
  const { holdDataDir } = await import('../store/data-lock.ts')
  await expect(holdDataDir(dir, 50)).rejects.toThrow(/Another server/)
  await app?.dispose()
  app = undefined
  const release = await holdDataDir(dir, 50)
  release()
})

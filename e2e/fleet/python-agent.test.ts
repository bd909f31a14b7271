import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { repository } from '../repository.ts'
import { readOutput } from './event-stream.ts'

const folder = join(repository, 'e2e/python-agent')
const python = spawnSync('python3', ['-c', 'import sys; sys.exit(sys.version_info < (3, 10))'])
const missing = python.status !== 0
if (missing) console.warn('Skipped: the agent in Python. Install python3 (3.10 or newer).')

const serverPart = `export default {
  contract: { id: 'demo', facts: { greeting: { type: 'string' } }, facets: {}, commands: { hello: {} } },
  migrations: [],
}`

describe.skipIf(missing)('an agent in Python, written from docs/reference/protocol.md alone', () => {
  let dir: string
  let fleet: TestFleet
  const running = new Set<ChildProcess>()

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'python-'))
    const plugin = join(dir, 'demo')
    mkdirSync(plugin)
    writeFileSync(
      join(plugin, 'package.json'),
      JSON.stringify({
        version: '1.0.0',
        type: 'module',
        fleetupdate: { id: 'demo', sdk: '1', server: './server.js' },
      }),
    )
    writeFileSync(join(plugin, 'server.js'), serverPart)
    fleet = await startTestFleet({ plugins: [plugin], agents: [] })
  })

  afterAll(async () => {
    for (const child of running) child.kill('SIGKILL')
    await fleet?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  const start = (id: string, more: readonly string[]): ChildProcess => {
    const args = [
      '--server',
      fleet.url,
      '--id',
      id,
      '--psk',
      'a-secret-for-tests-0123456789',
      '--state',
      join(dir, id),
    ]
    const child = spawn('python3', [join(folder, 'agent.py'), ...args, '--seconds', '60', ...more], {
      stdio: 'ignore',
    })
    running.add(child)
    return child
  }

  test('reproduces every vector', () => {
    const { status, stderr } = spawnSync('python3', ['-m', 'unittest'], { cwd: folder, encoding: 'utf8' })
    expect(stderr).toMatch(/OK/)
    expect(status).toBe(0)
  })

  test.each([
    ['py-socket', []],
    ['py-poll', ['--poll']],
  ])('enrols, reports, executes and comes back (%s)', async (id, way) => {
    const { client } = fleet
    const first = start(id, [...way, '--fact', 'demo.greeting="bonjour"'])
    const view = await client.until('the agent with its fact', async () => {
      const agent = await client.agent(id)
      return agent?.status === 'online' && agent.facts.demo?.greeting === 'bonjour' && agent
    })
    expect(view.executors).toMatchObject([{ id: 'demo', version: '1.0.0', health: 'ok' }])
    const command = await client.submit(id, 'demo.hello')
    const done = await client.finished(command.id)
    expect(done.state).toBe('succeeded')
    const { text } = await readOutput(`${fleet.url}/api/commands/${command.id}/stream`, client)
    expect(text).toBe('$ demo.hello\nhello from python\n')
    expect(done.output?.sha256).toBe(createHash('sha256').update(text).digest('hex'))

    const rotated = async () => (await client.agent(id))?.keyRotatedAt ?? ''
    const before = await rotated()
    await client.request('POST', `/api/agents/${id}/keys/rotate`, {})
    await client.until('its new key', async () => (await rotated()) !== before)
    const later = await client.submit(id, 'demo.hello')
    expect((await client.finished(later.id)).state).toBe('succeeded')

    first.kill('SIGKILL')
    await once(first, 'exit')
    start(id, way)
    const again = await client.submit(id, 'demo.hello')
    expect((await client.finished(again.id)).state).toBe('succeeded')
  })
})

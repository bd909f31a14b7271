import { spawn } from 'node:child_process'
import { createHash, createHmac } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { repository } from '../repository.ts'

const problem = ['/usr/bin/python3', '/usr/bin/apt-get'].find((program) => !existsSync(program))
if (problem !== undefined) console.warn(`Skipped: agents of the first FleetUpdate. There is no ${problem}.`)
const secret = 'the psk of the first FleetUpdate'
let fleet: TestFleet

beforeAll(async () => {
  fleet = await startTestFleet({ agents: ['vm-new'] })
})
afterAll(() => fleet?.stop())

/** Runs the old agent for that many polls; answers what it printed. */
async function oldAgent(
  id: string,
  polls: number,
  psk = secret,
): Promise<{ code: number | null; output: string }> {
  const program = join(repository, 'e2e/legacy/old_agent.py')
  const child = spawn('python3', [program, fleet.url, id, psk, String(polls)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output }
}

const signed = (body: string, id = 'vm-old', psk = secret): Record<string, string> => ({
  'x-agent-id': id,
  'x-signature': createHmac('sha256', psk).update(body).digest('hex'),
})
const call = async (
  method: string,
  path: string,
  body?: string,
  headers = signed(body ?? '{}'),
): Promise<number> => {
  const init = body === undefined ? {} : { body }
  const type: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' }
  return (await fetch(`${fleet.url}${path}`, { method, headers: { ...type, ...headers }, ...init })).status
}
const beat = JSON.stringify({ agent_id: 'vm-old' })

describe.skipIf(problem !== undefined)('agents of the first FleetUpdate', () => {
  test('are nobody until an admin enables the plugin and sets their secret', async () => {
    const { client } = fleet
    const { body } = await client.request<{ items: { id: string }[] }>('GET', '/api/plugins')
    expect(body.items.find(({ id }) => id === 'legacy-agents')).toMatchObject({
      state: 'disabled',
      reason: 'it is off until an admin enables it',
    })
    expect(await call('POST', '/api/heartbeat', beat)).toBe(503)
    const enabled = await client.request('POST', '/api/admin/plugins/legacy-agents/enable')
    expect(enabled).toMatchObject({ body: { state: 'active' } })
    expect(await call('POST', '/api/heartbeat', beat)).toBe(401)
    const set = await client.request('PUT', '/api/plugins/legacy-agents/secret', { secret })
    expect(set).toMatchObject({ status: 200 })
  })

  test('report their updates, take an upgrade and stream it, and end it with their result', async () => {
    const { client } = fleet
    expect(await oldAgent('vm-old', 1)).toMatchObject({ code: 0 })
    const view = await client.until('the facts of the old agent', async () => {
      const agent = await client.agent('vm-old')
      return agent?.facts['os-updates']?.updates !== undefined && agent
    })
    expect(view).toMatchObject({ status: 'online', agentVersion: '1.4.2' })
    expect(view.facts['legacy-agents']?.host).toMatchObject({ agentVersion: '1.4.2', uptimeSeconds: 4711 })
    expect(view.facets).toMatchObject({ 'legacy-agents.weak': true, 'sudo-check.ok': false })

    const upgrade = await client.submit('vm-old', 'apt-upgrade.run', { mode: 'all' })
    const check = await client.submit('vm-old', 'sudo-check.check')
    const some = await client.submit('vm-old', 'apt-upgrade.run', { mode: 'security' })
    const ran = await oldAgent('vm-old', 40)
    expect(ran.code, ran.output).toBe(0)
    expect(await client.finished(upgrade.id)).toMatchObject({ state: 'succeeded' })
    expect(await client.finished(check.id)).toMatchObject({
      state: 'failed',
      reason: 'The old agent says: error',
    })
    expect(await client.finished(some.id)).toMatchObject({
      state: 'rejected',
      reason: expect.stringContaining('upgrades everything or nothing'),
    })
    const output = await client.request<string>('GET', `/api/commands/${upgrade.id}/output`)
    const hash = createHash('sha256').update(output.body).digest('hex')
    expect(ran.output).toContain(`ran apt_upgrade ${hash}`)
  })

  test('hand a command out at most once, also over a restart of the server, and take output of the one who runs it alone', async () => {
    const { client } = fleet
    const { id } = await client.submit('vm-old', 'sudo-check.check')
    const next = async (): Promise<{ command: { command_id: string } | null }> => {
      const headers = signed('{}')
      return (await fetch(`${fleet.url}/api/agents/vm-old/next-command`, { headers })).json()
    }
    await client.until('the command', async () => (await next()).command?.command_id === id)
    expect(await next()).toEqual({ command: null })
    await fleet.server.kill('SIGKILL')
    await fleet.server.restart()
    expect(await next()).toEqual({ command: null })
    const chunk = JSON.stringify({ command_id: id, chunk: 'half a é' })
    expect(await call('POST', '/api/command-chunk', chunk, signed(chunk, 'vm-other'))).toBe(404)
    expect(await call('POST', '/api/command-chunk', chunk)).toBe(200)
    const result = JSON.stringify({ command_id: id, status: 'success', output: [], duration: 1, logs: [] })
    expect(await call('POST', '/api/command-result', result)).toBe(200)
    expect(await call('POST', '/api/command-result', result)).toBe(404)
    expect(await client.finished(id)).toMatchObject({ state: 'succeeded' })
    expect((await client.request<string>('GET', `/api/commands/${id}/output`)).body).toBe('half a é')
  })

  test('cannot speak for an enrolled agent, nor without the secret, nor in another one’s name', async () => {
    const { client } = fleet
    const taken = JSON.stringify({ agent_id: 'vm-new' })
    expect(await call('POST', '/api/heartbeat', taken, signed(taken, 'vm-new'))).toBe(409)
    expect(await call('POST', '/api/heartbeat', beat, signed(beat, 'vm-old', 'another secret'))).toBe(401)
    expect(await call('POST', '/api/heartbeat', `${beat} `, signed(beat))).toBe(401)
    expect(await call('POST', '/api/heartbeat', beat, signed(beat, 'vm-other'))).toBe(401)
    expect(await call('POST', '/api/heartbeat', beat, { 'x-agent-id': 'vm-old', 'x-signature': 'zz' })).toBe(
      401,
    )
    expect(await call('POST', '/api/heartbeat', beat, {})).toBe(401)
    expect(await call('GET', '/api/agents/vm-other/next-command')).toBe(401)
    const odd = JSON.stringify({ agent_id: 'vm-old', os_update: 'none' })
    expect(await call('POST', '/api/heartbeat', odd)).toBe(400)
    expect((await client.agent('vm-new'))?.facts['legacy-agents']).toBeUndefined()
  })
})

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { repository } from '../repository.ts'
import { createOutsideFolder } from './outside-folder.ts'
import { type Ended, runNode } from './run-program.ts'

const outside = createOutsideFolder()
const plugin = join(outside.path, 'disk-health')
const admin = '/api/admin/plugins'
let fleet: TestFleet

const bin = (name: string): string => join(repository, 'sdk/bin', `${name}.mjs`)
const cli = (...args: string[]): Promise<Ended> =>
  runNode(bin('fleetupdate'), ['plugin', ...args], outside.path)
const install = (file: string): Promise<Ended> =>
  cli('install', file, '--server', fleet.url, '--token', fleet.client.token, '--yes')
const item = async (id: string): Promise<Record<string, unknown> | undefined> =>
  (await fleet.client.request<{ items: Record<string, unknown>[] }>('GET', admin)).body.items.find(
    (candidate) => candidate.id === id,
  )

async function pack(version: string): Promise<string> {
  const file = join(plugin, 'package.json')
  const json = JSON.parse(readFileSync(file, 'utf8'))
  writeFileSync(file, JSON.stringify({ ...json, version }))
  const packed = await cli('pack', 'disk-health')
  expect(packed.code, packed.output).toBe(0)
  return `disk-health-${version}.fleetplugin`
}

beforeAll(async () => {
  expect(await cli('new', 'disk-health')).toMatchObject({ code: 0 })
  expect(await runNode(bin('fleetupdate-build'), [], plugin)).toMatchObject({ code: 0 })
  expect(await cli('keygen')).toMatchObject({ code: 0 })
  fleet = await startTestFleet({ agents: ['vm-01'] })
})
afterAll(async () => {
  await fleet?.stop()
  outside.remove()
})

test('a packed plugin is installed, used, upgraded, disabled and removed while the server runs', async () => {
  const { client } = fleet
  const first = await pack('0.1.0')
  const installed = await install(first)
  expect(installed.output).toContain('programs:\n  df\n')
  expect(installed.output).toContain('disk-health 0.1.0 is active.')
  expect(installed.code).toBe(0)
  expect(await item('disk-health')).toMatchObject({
    state: 'active',
    origin: 'bundle',
    publisher: expect.any(String),
  })

  const agent = fleet.agents.get('vm-01')
  await agent?.kill('SIGTERM')
  await agent?.restart()
  const known = await client.until('the fact of the new plugin', async () => {
    const view = await client.agent('vm-01')
    return view?.facts['disk-health']?.usedPercent !== undefined && 'disk-health.full' in view.facets && view
  })
  expect(known.facets).toHaveProperty(['disk-health.full'])
  const { id } = await client.submit('vm-01', 'disk-health.measure', { path: '/' })
  expect(await client.finished(id)).toMatchObject({ state: 'succeeded' })
  const panelOf = async (): Promise<string> => {
    const { body } = await client.request<{ items: { id: string; panel?: { module: string } }[] }>(
      'GET',
      '/api/plugins',
    )
    return body.items.find((one) => one.id === 'disk-health')?.panel?.module ?? ''
  }
  expect((await client.request('GET', await panelOf())).status).toBe(200)

  expect((await install(await pack('0.2.0'))).output).toContain('replaces 0.1.0')
  expect(await item('disk-health')).toMatchObject({ state: 'active', version: '0.2.0' })
  const older = await install(first)
  expect(older).toMatchObject({ code: 1, output: expect.stringContaining('it is older') })

  expect(await client.request('POST', `${admin}/disk-health/disable`)).toMatchObject({ status: 200 })
  const refused = await client.request('POST', '/api/agents/vm-01/disk-health/measure', { path: '/' })
  expect(refused).toMatchObject({ status: 503, body: { code: 'FLT_PLUGIN_UNAVAILABLE' } })
  expect(await item('os-updates')).toMatchObject({ state: 'active', origin: 'built-in' })
  expect(await client.request('POST', `${admin}/disk-health/enable`)).toMatchObject({
    body: { state: 'active' },
  })
  await fleet.server.kill('SIGTERM')
  await fleet.server.restart()
  expect(await item('disk-health')).toMatchObject({ state: 'active', version: '0.2.0' })
  expect((await client.request('DELETE', `${admin}/disk-health`)).status).toBe(204)
  expect(await item('disk-health')).toBeUndefined()
  expect((await client.request('GET', '/api/metrics')).status).toBe(200)
})

test('what is not a sound bundle, not confirmed or not allowed changes nothing', async () => {
  const { client } = fleet
  const file = readFileSync(join(outside.path, await pack('0.3.0')))
  const type = { 'content-type': 'application/vnd.fleetupdate.bundle' }
  const upload = async (body: Buffer, headers: Record<string, string>): Promise<Response> =>
    fetch(`${client.url}${admin}`, {
      method: 'POST',
      headers: { ...type, ...headers },
      body: new Uint8Array(body),
    })
  const authorization = `Bearer ${client.token}`

  const unknown = await upload(file, {})
  expect(unknown.status).toBe(401)
  const changed = Buffer.from(file)
  changed[changed.length - 20] = (changed[changed.length - 20] ?? 0) ^ 1
  const broken = await upload(changed, { authorization })
  expect(broken.status).toBe(400)
  expect(await broken.json()).toMatchObject({ code: expect.stringMatching(/^FLT_BUNDLE_/) })
  expect((await upload(Buffer.alloc(21 * 1024 * 1024), { authorization })).status).toBe(413)
  expect(await client.request('POST', admin, { file: 'x' })).toMatchObject({ status: 415 })

  const offered = await upload(file, { authorization })
  expect(await offered.json()).toMatchObject({ id: 'disk-health', asksFor: { programs: ['df'] } })
  expect(await item('disk-health')).toBeUndefined()
  const wrong = await client.request('POST', `${admin}/disk-health/confirm`, { sha256: '0'.repeat(64) })
  expect(wrong).toMatchObject({ status: 404, body: { code: 'FLT_PLUGIN_OFFER_GONE' } })
  expect(await client.request('DELETE', `${admin}/os-updates`)).toMatchObject({
    status: 409,
    body: { code: 'FLT_PLUGIN_BUILT_IN' },
  })
})

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { repository } from '../repository.ts'
import { startNpmRegistry } from './npm-registry.ts'
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
const manage = (...args: string[]): Promise<Ended> =>
  runNode(bin('fleetupdate'), ['plugin', ...args], outside.path, {
    FLEET_SERVER: fleet.url,
    FLEET_TOKEN: fleet.client.token,
  })
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
  expect(older).toMatchObject({ code: 3, output: expect.stringContaining('it is older') })

  expect(await manage('disable', 'disk-health')).toEqual({ code: 0, output: 'disk-health is disabled.\n' })
  const refused = await client.request('POST', '/api/agents/vm-01/disk-health/measure', { path: '/' })
  expect(refused).toMatchObject({ status: 503, body: { code: 'FLT_PLUGIN_UNAVAILABLE' } })
  expect(await item('os-updates')).toMatchObject({ state: 'active', origin: 'built-in' })
  expect(await manage('enable', 'disk-health')).toEqual({ code: 0, output: 'disk-health is active.\n' })
  await fleet.server.kill('SIGTERM')
  await fleet.server.restart()
  expect(await item('disk-health')).toMatchObject({ state: 'active', version: '0.2.0' })
  expect((await manage('list')).output).toContain('disk-health 0.2.0  active  (bundle)')
  expect(await manage('remove', 'disk-health')).toMatchObject({ code: 0 })
  expect(await manage('remove', 'disk-health')).toMatchObject({
    code: 3,
    output: expect.stringContaining('FLT_PLUGIN_UNKNOWN'),
  })
  expect(await item('disk-health')).toBeUndefined()
  expect((await client.request('GET', '/api/metrics')).status).toBe(200)
})

test('the program on the server and the one of the sdk end with the same code', async () => {
  const server = (...args: string[]): Promise<Ended> =>
    runNode(join(repository, 'core/dist/main.js'), ['plugin', ...args, '--server', fleet.url], outside.path, {
      FLEET_TOKEN: fleet.client.token,
    })
  for (const [args, code] of [
    [['list'], 0],
    [['list', '--frob'], 2],
    [['enable'], 2],
    [['enable', 'nobody-knows'], 3],
    [['remove', 'os-updates'], 3],
    [['install', 'missing.fleetplugin'], 3],
  ] as const) {
    const [onServer, ofSdk] = [await server(...args), await manage(...args)]
    expect([onServer.code, ofSdk.code], args.join(' ')).toEqual([code, code])
  }
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

test('a plugin published as an npm package is installed by its name, and nothing of the package is run', async () => {
  const bundle = readFileSync(join(outside.path, await pack('0.4.0')))
  const trap = join(outside.path, 'the-package-ran')
  const registry = await startNpmRegistry({
    '@acme/disk-health': {
      'disk-health.fleetplugin': bundle,
      'trap.mjs': Buffer.from(
        `import { writeFileSync } from 'node:fs'; writeFileSync(${JSON.stringify(trap)}, '')`,
      ),
    },
    'no-plugin': { 'README.md': Buffer.from('# Nothing') },
  })
  const installByName = (name: string): Promise<Ended> =>
    runNode(bin('fleetupdate'), ['plugin', 'install', name, '--yes'], outside.path, {
      FLEET_SERVER: fleet.url,
      FLEET_TOKEN: fleet.client.token,
      npm_config_registry: registry.url,
    })
  try {
    expect(await installByName('no-plugin')).toMatchObject({
      code: 3,
      output: expect.stringContaining('the package holds 0 files named *.fleetplugin'),
    })
    expect(await installByName('no-such-package')).toMatchObject({
      code: 3,
      output: expect.stringMatching(/FLT_CLI_SOURCE.*E404/),
    })
    expect(await installByName('missing.fleetplugin')).toMatchObject({
      code: 3,
      output: expect.stringContaining('there is no such file'),
    })
    const installed = await installByName('@acme/disk-health')
    expect(installed.output).toContain('disk-health 0.4.0 is active.')
    expect(existsSync(trap)).toBe(false)
  } finally {
    registry.close()
  }
})

test('a version that breaks the contract without saying so is refused, and the one before goes on', async () => {
  const file = join(plugin, 'src/contract.ts')
  const contract = readFileSync(file, 'utf8')
  writeFileSync(
    file,
    contract.replace('result: Type.Object({ usedPercent: percent })', 'result: Type.Object({})'),
  )
  expect(await runNode(bin('fleetupdate-build'), [], plugin)).toMatchObject({ code: 0 })
  const refused = await install(await pack('0.4.1'))
  expect(refused).toMatchObject({
    code: 3,
    output: expect.stringMatching(
      /FLT_PLUGIN_NOT_STARTED.*its contract breaks with version 0\.4\.0: "usedPercent" of the result of "measure" is gone.*\(0\.5\.0\)/,
    ),
  })
  expect(await item('disk-health')).toMatchObject({ state: 'active', version: '0.4.0' })
  expect((await install(await pack('0.5.0'))).output).toContain('disk-health 0.5.0 is active.')
})

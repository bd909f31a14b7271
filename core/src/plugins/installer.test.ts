import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPublisherKey, writeBundle } from '@fleetupdate/sdk/bundle'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createEventBus } from '../events/bus.ts'
import { createLiveHub } from '../events/live.ts'
import { createLog } from '../log.ts'
import { createStore } from '../store/create-store.ts'
import type { Store } from '../store/store.ts'
import type { FleetServices } from './fleet-services.ts'
import { createPluginHost, type PluginHost } from './host.ts'
import { openInstalledBundles } from './installed-bundles.ts'
import { createInstaller, type PluginInstaller } from './installer.ts'
import { pluginMigrations } from './tables.ts'

const key = createPublisherKey()
let dir: string
let store: Store
let host: PluginHost
let installer: PluginInstaller

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'installer-'))
  store = await createStore({ dir, migrations: pluginMigrations, onFatal: () => undefined })
  host = createPluginHost({
    folders: [join(dir, 'plugins')],
    corePaths: () => [],
    https: false,
    authenticate: async () => undefined,
    report: () => undefined,
    timeoutMs: 1000,
  })
  const services: Pick<FleetServices, 'store' | 'bus' | 'live' | 'log' | 'version' | 'startedAt'> = {
    store,
    bus: createEventBus(() => undefined),
    live: createLiveHub(() => undefined),
    log: createLog(() => undefined),
    version: '0',
    startedAt: new Date().toISOString(),
  }
  await host.start(services as FleetServices)
  installer = createInstaller(host, await openInstalledBundles(dir))
})
afterEach(async () => {
  await host.dispose()
  await store.close()
  rmSync(dir, { recursive: true, force: true })
})

const sound = `export default { contract: { id: 'one', facts: {}, facets: {}, commands: {} }, migrations: [] }`

interface Change {
  readonly server?: string
  readonly counter?: number
  readonly expiresAt?: string
  readonly signer?: typeof key
}

function bundle(version: string, { server = sound, signer = key, ...change }: Change = {}): Buffer {
  const manifest = { id: 'one', sdk: '1', server: './server.js', programs: ['df'] }
  const json = { version, type: 'module', fleetupdate: manifest }
  const files = [
    { path: 'package.json', content: Buffer.from(JSON.stringify(json)) },
    { path: 'server.js', content: Buffer.from(server) },
  ]
  return writeBundle(
    { version, counter: 1, expiresAt: '2090-01-01T00:00:00.000Z', manifest, files, ...change },
    signer,
  )
}

async function install(bytes: Buffer): Promise<unknown> {
  const { id, sha256 } = await installer.offer(bytes)
  return installer.confirm(id, sha256)
}

test('shows what a bundle asks for, and stores nothing before it is confirmed', async () => {
  const bytes = bundle('1.0.0')
  const offer = await installer.offer(bytes)
  expect(offer).toMatchObject({
    id: 'one',
    sha256: createHash('sha256').update(bytes).digest('hex'),
    asksFor: { programs: ['df'], privileges: [] },
  })
  expect(host.list()).toEqual([])
  expect(await installer.confirm('one', offer.sha256)).toMatchObject({ state: 'active' })
  await expect(installer.confirm('one', offer.sha256)).rejects.toMatchObject({
    code: 'FLT_PLUGIN_OFFER_GONE',
  })
})

test('puts the version before back where the new one does not start', async () => {
  await install(bundle('1.0.0'))
  const broken = bundle('2.0.0', { server: 'throw new Error("no luck")', counter: 2 })
  await expect(install(broken)).rejects.toMatchObject({
    code: 'FLT_PLUGIN_NOT_STARTED',
    message: expect.stringContaining('no luck. Version 1.0.0 was put back'),
  })
  expect(host.list()).toMatchObject([{ state: 'active', plugin: { version: '1.0.0' } }])
  expect(readFileSync(join(dir, 'plugins/one/server.js'), 'utf8')).toBe(sound)
})

test('refuses an older, an expired, and another publisher’s bundle', async () => {
  await install(bundle('1.1.0', { counter: 5 }))
  await expect(installer.offer(bundle('1.0.0', { counter: 4 }))).rejects.toThrow('it is older (4)')
  await expect(installer.offer(bundle('1.2.0', { expiresAt: '2020-01-01T00:00:00.000Z' }))).rejects.toThrow(
    'it expired',
  )
  const stranger = bundle('1.2.0', { counter: 6, signer: createPublisherKey() })
  await expect(installer.offer(stranger)).rejects.toThrow('another publisher')
  await installer.remove('one')
  expect(await install(stranger)).toMatchObject({ state: 'active' })
})

test('keeps the newest of the bundles that wait', async () => {
  const first = await installer.offer(bundle('1.0.0'))
  const second = await installer.offer(bundle('1.0.1'))
  await expect(installer.confirm('one', first.sha256)).rejects.toMatchObject({
    code: 'FLT_PLUGIN_OFFER_GONE',
  })
  expect(await installer.confirm('one', second.sha256)).toMatchObject({ plugin: { version: '1.0.1' } })
})

import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createEventBus } from '../events/bus.ts'
import { createLiveHub } from '../events/live.ts'
import { registerErrorHandler } from '../http/error-handler.ts'
import { createLog } from '../log.ts'
import { createStore } from '../store/create-store.ts'
import type { Store } from '../store/store.ts'
import type { FleetServices } from './fleet-services.ts'
import { createPluginHost, type PluginHost } from './host.ts'
import { pluginMigrations } from './tables.ts'

let dir: string
let store: Store
let host: PluginHost
let app: FastifyInstance

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'host-'))
  store = await createStore({
    dir: join(dir, 'data'),
    migrations: pluginMigrations,
    onFatal: () => undefined,
  })
})

afterEach(async () => {
  await app?.close()
  await host?.dispose()
  await store.close()
  rmSync(dir, { recursive: true, force: true })
})

const contract = (id: string): string => `{ id: '${id}', facts: {}, facets: {}, commands: {} }`
const hello = (
  id: string,
): string => `export default { contract: ${contract(id)}, migrations: [], setup(ctx) {
  ctx.http.get('/hello', { config: { role: 'viewer' } }, () => ({ hello: '${id}' }))
} }`

function install(id: string, server: string, manifest: object = {}): void {
  const folder = join(dir, 'plugins', id)
  mkdirSync(folder, { recursive: true })
  const fleetupdate = { id, sdk: '1', server: './server.js', ...manifest }
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ version: '1.2.3', type: 'module', fleetupdate }),
  )
  writeFileSync(join(folder, 'server.js'), server)
}

async function start(): Promise<void> {
  host = createPluginHost({
    folders: [join(dir, 'plugins')],
    corePaths: () => ['/api/agents'],
    https: false,
    authenticate: async () => ({ name: 'ada', role: 'viewer', userId: 'u', sessionId: 's' }),
    report: () => undefined,
    timeoutMs: 300,
  })
  const bus = createEventBus(() => undefined)
  const services: Pick<FleetServices, 'store' | 'bus' | 'live' | 'log' | 'version' | 'startedAt'> = {
    store,
    bus,
    live: createLiveHub(() => undefined),
    log: createLog(() => undefined),
    version: '0',
    startedAt: new Date().toISOString(),
  }
  await host.start(services as FleetServices)
  app = Fastify()
  registerErrorHandler(app, () => undefined)
  app.addHook('onRequest', async (request, reply) => {
    const owner = host.owner(request.url)
    if (owner !== undefined) host.dispatch(owner, request, reply)
  })
}

const stateOf = (id: string) => host.list().find(({ plugin }) => plugin.id === id)

describe('the plugin host', () => {
  test('mounts a sound plugin beside throwing, hanging, invalid and circular ones, which become states', async () => {
    install('sound', hello('sound'))
    install(
      'throwing',
      `export default { contract: ${contract('throwing')}, migrations: [], setup() { throw new Error('no luck') } }`,
    )
    install(
      'hanging',
      `export default { contract: ${contract('hanging')}, migrations: [], setup: () => new Promise(() => {}) }`,
    )
    install('stuck', `await new Promise(() => {}); export default {}`)
    install('broken', `this is not javascript`)
    install('other-name', hello('sound-two'))
    install('left', hello('left'), { dependsOn: ['right'] })
    install('right', hello('right'), { dependsOn: ['left'] })
    install('newer', hello('newer'), { sdk: '99' })
    install('greedy', hello('greedy'), { routes: ['/api/agents'] })
    await start()
    expect(stateOf('sound')?.state).toBe('active')
    expect((await app.inject('/api/plugins/sound/hello')).json()).toEqual({ hello: 'sound' })
    const reasons = {
      throwing: 'no luck',
      hanging: '',
      stuck: 'took longer',
      broken: '',
      'other-name': 'sound-two',
      left: 'circle',
      right: 'circle',
      newer: 'Update the server',
      greedy: 'belongs to the server',
    }
    for (const [id, reason] of Object.entries(reasons)) {
      expect(stateOf(id), id).toMatchObject({ state: 'failed', reason: expect.stringContaining(reason) })
      const answer = await app.inject(`/api/plugins/${id}/hello`)
      expect(answer.statusCode, id).toBe(503)
      expect(answer.json().code).toBe('FLT_PLUGIN_UNAVAILABLE')
    }
    expect((await app.inject('/api/plugins/nobody/hello')).json().code).toBe('FLT_PLUGIN_UNKNOWN')
  })

  test('refuses a route without a role, and one outside its paths', async () => {
    const route = (text: string): string =>
      `export default { contract: ${contract('x')}, migrations: [], setup(ctx) { ${text} } }`
    install('x', route(`ctx.http.get('/open', () => 1)`))
    await start()
    expect(stateOf('x')?.reason).toContain('has no role')
    await app.close()
    install(
      'x',
      `${route(`ctx.http.root.get('/elsewhere', { config: { role: 'viewer' } }, () => 1)`)} // changed`,
    )
    await start()
    expect(stateOf('x')?.reason).toContain('not in "routes"')
  })

  test('asks for the role of each route, and hides what went wrong inside', async () => {
    install(
      'x',
      `export default { contract: ${contract('x')}, migrations: [], setup(ctx) {
      ctx.http.get('/admin', { config: { role: 'admin' } }, () => 1)
      ctx.http.get('/boom', { config: { role: 'viewer' } }, () => { throw new Error('secret detail') })
    } }`,
    )
    await start()
    expect((await app.inject('/api/plugins/x/admin')).statusCode).toBe(403)
    const boom = await app.inject('/api/plugins/x/boom')
    expect(boom.json().code).toBe('FLT_INTERNAL')
    expect(boom.body).not.toContain('secret detail')
  })

  test('undoes in reverse order what a half-failed setup registered', async () => {
    install(
      'half',
      `export default { contract: ${contract('half')}, migrations: [], setup(ctx) {
      ctx.events.on('agent.connected', () => { globalThis.heard = true })
      ctx.signal.addEventListener('abort', () => { globalThis.aborted = true })
      throw new Error('half way')
    } }`,
    )
    await start()
    expect(stateOf('half')?.state).toBe('failed')
    expect(Reflect.get(globalThis, 'aborted')).toBe(true)
  })

  test('gives each plugin a database of its own, with its migrations applied', async () => {
    install(
      'keeper',
      `export default { contract: ${contract('keeper')},
      migrations: [{ name: '0001', async up(db) { await db.schema.createTable('things').addColumn('name', 'text').execute() } }],
      async setup(ctx) {
        await ctx.db.write([ctx.db.query.insertInto('things').values({ name: 'one' }).compile()])
        ctx.http.get('/things', { config: { role: 'viewer' } }, () => ctx.db.query.selectFrom('things').selectAll().execute())
        await ctx.settings.set('color', { r: 1 })
        ctx.http.get('/color', { config: { role: 'viewer' } }, () => ctx.settings.get('color'))
      } }`,
    )
    await start()
    expect((await app.inject('/api/plugins/keeper/things')).json()).toEqual([{ name: 'one' }])
    expect((await app.inject('/api/plugins/keeper/color')).json()).toEqual({ r: 1 })
  })

  describe('changed while it runs', () => {
    const answer = async (id: string): Promise<unknown> =>
      (await app.inject(`/api/plugins/${id}/hello`)).json()
    const unavailable = { code: 'FLT_PLUGIN_UNAVAILABLE' }

    test('stops and starts one plugin without disturbing another, also over a restart', async () => {
      install('one', hello('one'))
      install('two', hello('two'))
      await start()
      expect(await host.disable('one')).toMatchObject({ state: 'disabled' })
      expect(await answer('one')).toMatchObject(unavailable)
      expect(await answer('two')).toEqual({ hello: 'two' })
      expect(host.contracts.contract('one')).toBeUndefined()
      await host.dispose()
      await app.close()
      await start()
      expect(stateOf('one')?.state).toBe('disabled')
      expect(await host.enable('one')).toMatchObject({ state: 'active' })
      expect(await answer('one')).toEqual({ hello: 'one' })
    })

    test('takes in a new plugin, and a new version of it', async () => {
      install('one', hello('one'))
      await start()
      install('two', hello('two'))
      expect(await host.install(join(dir, 'plugins/two'))).toMatchObject({ state: 'active' })
      expect(await answer('two')).toEqual({ hello: 'two' })
      install('two', hello('two').replace("hello: 'two'", "hello: 'again'"))
      utimesSync(join(dir, 'plugins/two/server.js'), 1, 1)
      await host.install(join(dir, 'plugins/two'))
      expect(await answer('two')).toEqual({ hello: 'again' })
      install('two', 'throw new Error("no luck")')
      utimesSync(join(dir, 'plugins/two/server.js'), 2, 2)
      expect(await host.install(join(dir, 'plugins/two'))).toMatchObject({
        state: 'failed',
        reason: 'no luck',
      })
      expect(await answer('one')).toEqual({ hello: 'one' })
    })

    test('gives the paths of a removed plugin free', async () => {
      install('one', hello('one'), { routes: ['/metrics'] })
      await start()
      expect(host.owner('/metrics')).toBe('one')
      await host.remove('one')
      expect(host.owner('/metrics')).toBeUndefined()
      expect(host.list()).toEqual([])
      await expect(host.enable('one')).rejects.toMatchObject({ code: 'FLT_PLUGIN_UNKNOWN' })
    })

    test('keeps a plugin that others need', async () => {
      install('base', hello('base'))
      install('upper', hello('upper'), { dependsOn: ['base'] })
      await start()
      await expect(host.disable('base')).rejects.toMatchObject({ code: 'FLT_PLUGIN_NEEDED' })
      await host.disable('upper')
      await host.disable('base')
      expect(await host.enable('upper')).toMatchObject({
        state: 'failed',
        reason: expect.stringContaining('base'),
      })
      await host.enable('base')
      expect(await host.enable('upper')).toMatchObject({ state: 'active' })
    })
  })
})

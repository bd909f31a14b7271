import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { browserProblem, logIn, startBrowser, visit } from '../dashboard/browser.ts'
import { builtIns } from '../repository.ts'
import { createBadFolder, executorPart, serverPart } from './bad-folder.ts'

const bad = createBadFolder()
const other = createBadFolder()
const never = 'await new Promise(() => undefined)'
let fleet: TestFleet
let browser: Browser | undefined
let items: readonly { id: string; state: string; reason?: string }[]

beforeAll(async () => {
  bad.write({ id: 'sound', server: serverPart('sound'), executor: executorPart('sound') })
  bad.write({ id: 'no-json', packageJson: '{ "name": ' })
  bad.write({ id: 'no-manifest', manifest: { programs: 'df' }, server: serverPart('no-manifest') })
  bad.write({ id: 'outside', manifest: { server: '../sound/dist/server.js' }, server: serverPart('outside') })
  bad.write({ id: 'not-built', manifest: { server: './dist/nothing.js' } })
  bad.write({ id: 'no-export', server: 'export const nothing = 1' })
  bad.write({ id: 'other-id', server: serverPart('somebody-else') })
  bad.write({
    id: 'throws-at-load',
    server: serverPart('throws-at-load', '', "throw new Error('no luck at load')"),
  })
  bad.write({ id: 'hangs-at-load', server: serverPart('hangs-at-load', '', never) })
  bad.write({
    id: 'throws-in-setup',
    server: serverPart('throws-in-setup', "throw new Error('no luck in setup')"),
  })
  bad.write({ id: 'hangs-in-setup', server: serverPart('hangs-in-setup', never) })
  bad.write({
    id: 'no-role',
    server: serverPart('no-role', "context.http.get('/open', async () => 'for everybody')"),
  })
  bad.write({ id: 'takes-a-path', manifest: { routes: ['/api/agents'] }, server: serverPart('takes-a-path') })
  bad.write({
    id: 'newer-minor',
    manifest: { sdk: '1.999' },
    server: serverPart('newer-minor'),
    executor: executorPart('newer-minor'),
  })
  bad.write({ id: 'newer-major', manifest: { sdk: '2.0' }, server: serverPart('newer-major') })
  bad.write({ id: 'older-major', manifest: { sdk: '0.9' }, server: serverPart('older-major') })
  bad.write({
    id: 'bad-panel',
    server: serverPart('bad-panel'),
    panel: "throw new Error('no luck in the panel')",
  })
  bad.write({ id: 'twin', server: serverPart('twin') })
  other.write({ id: 'twin', server: serverPart('twin') })
  bad.write({
    id: 'agent-throws',
    server: serverPart('agent-throws'),
    executor: executorPart('agent-throws', "throw new Error('no luck here')"),
  })
  bad.write({
    id: 'agent-hangs',
    server: serverPart('agent-hangs'),
    executor: executorPart('agent-hangs', never),
  })
  fleet = await startTestFleet({
    agents: ['vm-01'],
    pluginDirs: [bad.path, other.path],
    executorDirs: [bad.path, ...builtIns.executorDirs],
  })
  items = (await fleet.client.request<{ items: typeof items }>('GET', '/api/plugins')).body.items
})
afterAll(async () => {
  await browser?.close()
  await fleet?.stop()
  bad.remove()
  other.remove()
})

const stateOf = (id: string): object | undefined => items.find((item) => item.id === id)

describe('on the server, each is a state and a sentence', () => {
  test.each([
    ['no-json', /its package\.json is not JSON/],
    ['no-manifest', /its manifest does not fit: \/programs must be array/],
    ['outside', /the path "\.\.\/sound\/dist\/server\.js" leaves the plugin's folder/],
    ['not-built', /\.\/dist\/nothing\.js is missing; build the plugin first/],
    ['no-export', /no default export made by definePlugin/],
    ['other-id', /its contract has the id "somebody-else", its manifest "other-id"/],
    ['throws-at-load', /no luck at load/],
    ['hangs-at-load', /loading it took longer than 10 s/],
    ['throws-in-setup', /no luck in setup/],
    ['hangs-in-setup', /its setup took longer than 10 s/],
    ['no-role', /the route GET \/api\/plugins\/no-role\/open has no role/],
    ['takes-a-path', /the path \/api\/agents belongs to the server/],
    ['newer-minor', /it needs version 1\.999 of the sdk; this server offers .* Update the server/],
    ['newer-major', /it needs version 2\.0 of the sdk; .* Update the server/],
    ['older-major', /it needs version 0\.9 of the sdk; .* Update the plugin/],
    ['twin#2', /another plugin already has the id "twin" .*; remove one of the two/],
  ])('%s', (id, reason) => {
    expect(stateOf(id)).toMatchObject({ state: 'failed', reason: expect.stringMatching(reason) })
  })

  test('the first of two with one id is active', () => {
    expect(stateOf('twin')).toMatchObject({ state: 'active' })
  })
})

test('on an agent, each is a health and a sentence, and the others report', async () => {
  const view = await fleet.client.until('the facts of a sound executor', async () => {
    const agent = await fleet.client.agent('vm-01')
    return agent?.facts.sound?.alive === true && agent
  })
  const health = Object.fromEntries(view.executors.map(({ id, ...executor }) => [id, executor]))
  expect(health['agent-throws']).toMatchObject({
    health: 'failed',
    reason: expect.stringContaining('no luck here'),
  })
  expect(health['agent-hangs']).toMatchObject({
    health: 'failed',
    reason: expect.stringContaining('it does not answer'),
  })
  expect(health['newer-minor']).toMatchObject({
    health: 'failed',
    reason: expect.stringMatching(
      /it needs version 1\.999 of the sdk; this agent offers .* Update the agent/,
    ),
  })
  expect(health.sound).toMatchObject({ health: 'ok' })
  expect(health['os-updates']).toMatchObject({ health: 'ok' })
})

test('everything else works', async () => {
  const { client } = fleet
  expect(stateOf('sound')).toMatchObject({ state: 'active' })
  for (const id of ['os-updates', 'apt-upgrade', 'metrics', 'log-stream', 'services'])
    expect(stateOf(id)).toMatchObject({ state: 'active' })
  expect(await client.request('GET', '/api/ready')).toMatchObject({ status: 200 })
  expect(await client.request('GET', '/api/plugins/throws-in-setup/x')).toMatchObject({
    status: 503,
    body: { code: 'FLT_PLUGIN_UNAVAILABLE', message: expect.stringContaining('no luck in setup') },
  })
  const { id } = await client.submit('vm-01', 'sudo-check.check')
  expect(await client.finished(id)).toMatchObject({ state: 'succeeded' })
})

test.skipIf(browserProblem() !== undefined)(
  'a panel that throws is named, beside the panels that work',
  async () => {
    browser = await startBrowser()
    const { page, close } = await visit(browser, fleet)
    await logIn(page)
    await page.goto(`${fleet.url}/agents/vm-01`)
    await page.getByText('no luck in the panel').first().waitFor()
    await page.getByRole('heading', { name: 'Services' }).first().waitFor()
    await close()
  },
)

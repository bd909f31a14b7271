import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type FleetClient, logIn as logInApi } from '@fleetupdate/sdk/testing'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { browserProblem, startBrowser, visit } from '../dashboard/browser.ts'
import { repository } from '../repository.ts'
import { createOutsideFolder } from './outside-folder.ts'
import { runNode } from './run-program.ts'
import { type Running, startNode } from './start-program.ts'

const outside = createOutsideFolder()
const plugin = join(outside.path, 'disk-health')
const cli = join(repository, 'sdk/bin/fleetupdate.mjs')
let dev: Running
let url: string
let password: string
let agentId: string
let client: FleetClient
let browser: Browser | undefined

const change = (file: string, from: string, to: string): void => {
  const path = join(plugin, file)
  const text = readFileSync(path, 'utf8')
  expect(text).toContain(from)
  dev.clear()
  writeFileSync(path, text.replace(from, to))
}
const stateOf = async (id: string): Promise<string | undefined> =>
  (await client.request<{ items: { id: string; state: string }[] }>('GET', '/api/plugins')).body.items.find(
    (item) => item.id === id,
  )?.state
const measured = async (): Promise<object> => {
  const { id } = await client.submit(agentId, 'disk-health.measure', { path: '/' })
  return client.finished(id)
}

beforeAll(async () => {
  expect(await runNode(cli, ['plugin', 'new', 'disk-health'], outside.path)).toMatchObject({ code: 0 })
  dev = startNode(cli, ['plugin', 'dev', '--data', join(outside.path, 'data')], plugin)
  await dev.printed('Waiting for changes')
  url = /Dashboard\s+(\S+)/.exec(dev.output())?.[1] ?? ''
  password = /log in as admin with\s+(\S+)/.exec(dev.output())?.[1] ?? ''
  agentId = /Agent\s+(\S+), this very machine/.exec(dev.output())?.[1] ?? ''
  client = await logInApi(url, 'admin', password)
})
afterAll(async () => {
  await browser?.close()
  await dev?.interrupt()
  outside.remove()
})

test('one command gives a fleet with the plugin in it, on this machine', async () => {
  expect(dev.output()).toMatch(/✓ disk-health 0\.1\.0: server, executor, panel loaded in \d+ ms/)
  expect(await stateOf('disk-health')).toBe('active')
  expect(await measured()).toMatchObject({ state: 'succeeded' })
})

test('a change of the executor reaches the agent', async () => {
  change('src/executor.ts', 'return { usedPercent }', 'return { usedPercent: 0 }')
  await dev.printed(/✓ disk-health 0\.1\.0: executor loaded/)
  expect(await measured()).toMatchObject({ state: 'succeeded', result: { usedPercent: 0 } })
})

test('a change of the contract reaches server and agent', async () => {
  change('src/contract.ts', 'maxLength: 200', 'maxLength: 3')
  await dev.printed(/✓ disk-health 0\.1\.0: server, executor.* loaded/)
  const long = await client.request('POST', `/api/agents/${agentId}/disk-health/measure`, { path: '/home' })
  expect(long).toMatchObject({ status: 400, body: { code: 'FLT_COMMAND_INPUT' } })
})

test('what does not build is said plainly, and what ran before goes on', async () => {
  dev.clear()
  appendFileSync(join(plugin, 'src/executor.ts'), 'const broken = ;\n')
  await dev.printed('What ran before goes on')
  expect(dev.output()).toMatch(/✗ Build failed[\s\S]*executor\.ts:\d+:\d+: ERROR: Unexpected ";"/)
  expect(await measured()).toMatchObject({ state: 'succeeded', result: { usedPercent: 0 } })
  change('src/executor.ts', 'const broken = ;\n', '// Mended.\n')
  await dev.printed('= nothing that is shipped has changed')
})

test('a server part that does not start is said plainly, and the one before goes on', async () => {
  dev.clear()
  appendFileSync(join(plugin, 'src/server.ts'), "throw new Error('the author tripped')\n")
  await dev.printed('What ran before goes on')
  expect(dev.output()).toContain('the author tripped')
  expect(await stateOf('disk-health')).toBe('active')
  expect(await measured()).toMatchObject({ state: 'succeeded' })
  change('src/server.ts', "throw new Error('the author tripped')\n", '')
  await dev.printed(/✓|=/)
})

test.skipIf(browserProblem() !== undefined)(
  'a change of the panel shows in an open page by itself',
  async () => {
    browser = await startBrowser()
    const { page, troubles, close } = await visit(browser, { url })
    await page.fill('#username', 'admin')
    await page.fill('#password', password)
    await page.click('button[type=submit]')
    await page.waitForSelector('.tiles, .steps')
    await page.goto(`${url}/agents/${agentId}`)
    await page.getByRole('button', { name: 'Measure now' }).waitFor()
    await page.evaluate(() => Reflect.set(window, 'notReloaded', true))
    change('src/panel/messages/en.json', 'Measure now', 'Measure at once')
    await page.getByRole('button', { name: 'Measure at once' }).waitFor()
    change('src/panel/PluginCard.vue', "t('measure') }}", "t('measure') }}, please")
    await page.getByRole('button', { name: 'Measure at once, please' }).waitFor()
    expect(await page.evaluate(() => Reflect.get(window, 'notReloaded'))).toBe(true)
    expect(troubles).toEqual([])
    await close()
  },
)

test('it ends cleanly, and keeps what it was told to keep', async () => {
  expect(await dev.interrupt()).toBe(0)
  await expect(fetch(`${url}/api/health`)).rejects.toThrow()
  expect(existsSync(join(outside.path, 'data/core.db'))).toBe(true)
})

test('without a server to try it in, it says where one can be', async () => {
  const ended = await runNode(cli, ['plugin', 'dev', '--server', '/nowhere'], plugin)
  expect(ended).toMatchObject({ code: 3, output: expect.stringContaining('/nowhere holds no built server') })
})

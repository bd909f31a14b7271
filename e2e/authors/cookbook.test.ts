import { cpSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { browserProblem, logIn, startBrowser, visit } from '../dashboard/browser.ts'
import { hangUp, wireHost } from '../dashboard/wire-hosts.ts'
import { repository } from '../repository.ts'
import { expectSound } from './expect-sound.ts'
import { createOutsideFolder } from './outside-folder.ts'

const source = join(repository, 'sdk/cookbook/log-sizes')
const outside = createOutsideFolder()
const plugin = join(outside.path, basename(source))

beforeAll(() => {
  const mine = new Set(['dist', 'node_modules'])
  cpSync(source, plugin, { recursive: true, filter: (path) => !mine.has(basename(path)) })
})
afterAll(() => outside.remove())

test('the plugin that the cookbook quotes builds, has sound types and passes its own tests in a real fleet', () =>
  expectSound(plugin, 13))

test('the cookbook has a panel of it in every slot there is', () => {
  const slots = readFileSync(join(repository, 'sdk/src/contract/panel.ts'), 'utf8').matchAll(
    /^ {2}\| '(.+)'$/gm,
  )
  const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'))
  expect([...manifest.fleetupdate.panel.slots].sort()).toEqual([...slots].map(([, slot]) => slot).sort())
})

const problem = browserProblem()
if (problem !== undefined) console.warn(`Skipped: the panels of the cookbook. ${problem}`)

describe.skipIf(problem !== undefined)('the panels of the cookbook', () => {
  let fleet: TestFleet
  let browser: Browser

  beforeAll(async () => {
    fleet = await startTestFleet({ plugins: [plugin], agents: ['vm-01'] })
    browser = await startBrowser()
    const host = await wireHost(fleet, 'web-01')
    host.tell('log-sizes', { total: { bytes: 2_500_000_000, complete: false } })
    await fleet.client.until('its facet', async () => {
      return (await fleet.client.agent('web-01'))?.facets['log-sizes.large'] === true
    })
  })
  afterAll(async () => {
    await browser?.close()
    hangUp()
    await fleet?.stop()
  })

  test('appear in each slot, in both languages, without an error', async () => {
    const { page, troubles, close } = await visit(browser, fleet)
    await logIn(page)
    const sees = (text: string) =>
      page.getByText(text, { exact: true }).filter({ visible: true }).first().waitFor()
    await sees('2,500 MB') // fleet.column
    await sees('Large logs') // fleet.summary
    await page.getByRole('row', { name: 'web-01' }).getByRole('checkbox').check()
    await sees('Measure') // fleet.action
    await page.goto(`${fleet.url}/agents/web-01`)
    await sees('at least 2,500 MB') // agent.card
    await sees('Large logs') // agent.header
    await page.goto(`${fleet.url}/agents/web-01/log-sizes`)
    await sees('How the logs grew') // agent.tab
    await page.waitForSelector('canvas, svg[role=img]')
    await page.getByRole('button', { name: 'Forget these figures' }).click() // its own route
    await sees('Nothing recorded yet')
    await page.goto(`${fleet.url}/panels/log-sizes`)
    await sees('Where logs are largest') // page
    const { id } = await fleet.client.submit('vm-01', 'log-sizes.measure', { paths: ['/var/log'] })
    await fleet.client.finished(id)
    await page.goto(`${fleet.url}/commands/${id}`)
    await sees('1 folder measured') // command.detail
    await page.goto(`${fleet.url}/settings`)
    await page.click('text=Français')
    await page.goto(`${fleet.url}/agents/web-01`)
    await sees('au moins 2 500 Mo')
    expect(troubles).toEqual([])
    await close()
  })
})

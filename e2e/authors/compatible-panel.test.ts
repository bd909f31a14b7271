import { join } from 'node:path'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { browserProblem, logIn, startBrowser, visit } from '../dashboard/browser.ts'
import { builtIns, repository } from '../repository.ts'
import { runNode } from './run-program.ts'

const problem = browserProblem()
if (problem !== undefined) console.warn(`Skipped: a panel built with the sdk 1.1. ${problem}`)

describe.skipIf(problem !== undefined)('a panel that was built with the sdk 1.1', () => {
  let fleet: TestFleet
  let browser: Browser

  beforeAll(async () => {
    fleet = await startTestFleet({ ...builtIns, agents: ['vm-01'] })
    browser = await startBrowser()
    const bundle = join(repository, 'e2e/authors/fixtures/sdk-1.1/compat-panel-1.1.0.fleetplugin')
    const given = ['--server', fleet.client.url, '--token', fleet.client.token, '--yes']
    const installed = await runNode(
      join(repository, 'sdk/bin/fleetupdate.mjs'),
      ['plugin', 'install', bundle, ...given],
      fleet.dataDir,
    )
    expect(installed.output).toContain('compat-panel 1.1.0 is active.')
  })
  afterAll(async () => {
    await browser?.close()
    await fleet?.stop()
  })

  test('asks its own routes, says refusals in the person’s language, reaches no other plugin, and submits', async () => {
    const { page, close } = await visit(browser, fleet)
    await logIn(page)
    await page.goto(`${fleet.url}/panels/compat-panel`)
    const button = (name: string) => page.getByRole('button', { name, exact: true })
    await page.waitForSelector('#word:has-text("null")')
    await button('free').click()
    await page.waitForSelector('#word:has-text("free")')
    await button('taken').click()
    await page.waitForSelector('#said:has-text("Somebody has “taken” already.")')
    await button('stray').click()
    await page.waitForSelector('#said:has-text("which is no route of its own")')
    expect(await page.textContent('#word')).toBe('free')
    await page.goto(`${fleet.url}/settings`)
    await page.click('text=Français')
    await page.goto(`${fleet.url}/panels/compat-panel`)
    await button('taken').click()
    await page.waitForSelector('#said:has-text("« taken » est déjà pris.")')
    await button('submit').click()
    await page.waitForURL('**/commands/*')
    await close()
  })

  test('may do on its routes what the person may, and no more', async () => {
    const { client } = fleet
    await client.request('POST', '/api/users', {
      name: 'vera',
      role: 'viewer',
      password: 'a password for tests',
    })
    const { page, close } = await visit(browser, fleet)
    await page.fill('#username', 'vera')
    await page.fill('#password', 'a password for tests')
    await page.click('button[type=submit]')
    await page.waitForSelector('.tiles, .first')
    await page.goto(`${fleet.url}/panels/compat-panel`)
    await page.waitForSelector('#word:has-text("free")')
    await page.getByRole('button', { name: 'free', exact: true }).click()
    await page.waitForSelector('#said:has-text("operator")')
    await close()
  })
})

import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { builtIns } from '../repository.ts'
import { browserProblem, logIn, startBrowser, visit } from './browser.ts'
import { actsOn, hostilePages, startHostileHost, watchForActs } from './hostile-host.ts'
import { hostileStrings } from './hostile-strings.ts'
import { hangUp } from './wire-hosts.ts'

const problem = browserProblem()
if (problem !== undefined) console.warn(`Skipped: hostile strings in the dashboard. ${problem}`)

describe.skipIf(problem !== undefined)('what an agent sends', () => {
  let fleet: TestFleet
  let browser: Browser
  let commandId = ''

  beforeAll(async () => {
    fleet = await startTestFleet({ ...builtIns, agents: [] })
    browser = await startBrowser()
    commandId = await startHostileHost(fleet, 'evil-01')
  })
  afterAll(async () => {
    await browser?.close()
    hangUp()
    await fleet?.stop()
  })

  test(`is shown as text and never acts: ${hostileStrings.length} strings in every field`, async () => {
    const { page, troubles, strangers, close } = await visit(browser, fleet)
    await watchForActs(page)
    await logIn(page)
    for (const path of hostilePages('evil-01', commandId)) {
      await page.goto(fleet.url + path)
      await page.waitForSelector('h1')
      await page.waitForLoadState('networkidle')
      expect(await actsOn(page), path).toBe(0)
    }
    await page.goto(`${fleet.url}/agents/evil-01`)
    await page.waitForSelector('text=<script>alert(1)</script>')
    await page.goto(`${fleet.url}/commands/${commandId}`)
    await page.waitForSelector('.xterm-rows')
    await page.waitForFunction(() => (document.querySelector('.xterm-rows')?.textContent ?? '').length > 200)
    expect(await page.title()).not.toContain('title from the output')
    expect(await page.locator('.xterm-rows a').count()).toBe(0)
    expect(troubles).toEqual([])
    expect(strangers).toEqual([])
    await close()
  })
})

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { builtIns } from '../repository.ts'
import { browserProblem, logIn, startBrowser, visit } from './browser.ts'
import { startHistory, startShowcase } from './showcase.ts'
import { hangUp } from './wire-hosts.ts'

const problem = browserProblem()
if (problem !== undefined) console.warn(`Skipped: the pictures of the docs. ${problem}`)
const folder = process.env.SCREENSHOTS

describe.skipIf(problem !== undefined)('a fleet at work', () => {
  let fleet: TestFleet
  let browser: Browser

  beforeAll(async () => {
    fleet = await startTestFleet({ ...builtIns, agents: [] })
    browser = await startBrowser()
    await startShowcase(fleet)
    await startHistory(fleet.client)
    if (folder) mkdirSync(folder, { recursive: true })
  })
  afterAll(async () => {
    await browser?.close()
    hangUp()
    await fleet?.stop()
  })

  /** For the README and the docs: SCREENSHOTS=<folder>. */
  async function picture(page: Page, name: string): Promise<void> {
    await page.waitForLoadState('networkidle')
    await page.waitForFunction(() => document.querySelector('.skeleton') === null)
    if (folder) await page.screenshot({ path: join(folder, `${name}.png`) })
  }

  test('is told at one glance', async () => {
    const { page, troubles, close } = await visit(browser, fleet, { viewport: { width: 1440, height: 900 } })
    await logIn(page)
    await page.waitForSelector('.body [role=row]')
    await picture(page, 'fleet')
    expect(await page.innerText('.tiles')).toMatch(/34\s+All agents/)
    for (const name of ['agents/db-01', 'enrolment', 'people', 'plugins', 'audit']) {
      await page.goto(`${fleet.url}/${name}`)
      await page.waitForSelector('h1')
      await picture(page, name.replace(/s\/.*/, ''))
    }
    expect(troubles).toEqual([])
    await close()
  })
})

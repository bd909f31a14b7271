import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createOutsideFolder } from '../authors/outside-folder.ts'
import { runNode } from '../authors/run-program.ts'
import { builtIns, repository } from '../repository.ts'
import { accessibilityProblems } from './axe.ts'
import { browserProblem, logIn, startBrowser, visit } from './browser.ts'
import { hangUp, wireHost } from './wire-hosts.ts'

const problem = browserProblem()
if (problem !== undefined) console.warn(`Skipped: plugins in the dashboard. ${problem}`)

describe.skipIf(problem !== undefined)('plugins', () => {
  let fleet: TestFleet
  let browser: Browser
  const outside = createOutsideFolder()
  const bundle = join(outside.path, 'disk-health-0.1.0.fleetplugin')

  beforeAll(async () => {
    const bin = (name: string): string => join(repository, 'sdk/bin', `${name}.mjs`)
    const cli = (...args: string[]) => runNode(bin('fleetupdate'), ['plugin', ...args], outside.path)
    expect(await cli('new', 'disk-health')).toMatchObject({ code: 0 })
    expect(await runNode(bin('fleetupdate-build'), [], join(outside.path, 'disk-health'))).toMatchObject({
      code: 0,
    })
    expect(await cli('keygen')).toMatchObject({ code: 0 })
    expect(await cli('pack', 'disk-health')).toMatchObject({ code: 0 })
    fleet = await startTestFleet({ ...builtIns, agents: [] })
    browser = await startBrowser()
    await wireHost(fleet, 'web-01')
  })
  afterAll(async () => {
    await browser?.close()
    hangUp()
    await fleet?.stop()
    outside.remove()
  })

  test('are uploaded, shown with what they ask for before anything runs, installed, disabled, enabled and removed', async () => {
    const { page, troubles, close } = await visit(browser, fleet)
    await logIn(page)
    await page.goto(`${fleet.url}/plugins`)
    await page.click('button:has-text("Install a plugin")')
    const broken = join(outside.path, 'broken.fleetplugin')
    writeFileSync(broken, 'not a bundle at all')
    await page.setInputFiles('input[type=file]', broken)
    await page.waitForSelector('dialog >> text=FLT_BUNDLE_')
    await page.setInputFiles('input[type=file]', bundle)
    await page.waitForSelector('dialog >> text=What it asks for')
    expect(await page.innerText('dialog .asks')).toMatch(/Programs\s+df/)
    expect(await accessibilityProblems(page)).toEqual([])
    const listed = await fleet.client.request<{ items: { id: string }[] }>('GET', '/api/admin/plugins')
    expect(listed.body.items.map(({ id }) => id)).not.toContain('disk-health')
    await page.click('dialog button:has-text("Install")')
    const card = page.locator('section.card', { hasText: 'disk-health' })
    await card.getByText('Active').waitFor()
    await card.getByText('A bundle signed by').waitFor()

    await card.getByRole('button', { name: /^Disable/ }).click()
    await page.waitForSelector('dialog >> text=/Disable .*\\?/')
    await page.locator('dialog button.danger').click()
    await card.getByText('Disabled', { exact: true }).waitFor()
    await card.getByRole('button', { name: /^Enable/ }).click()
    await card.getByText('Active').waitFor()
    await card.getByRole('button', { name: /^Remove/ }).click()
    await page.waitForSelector('dialog >> text=/Remove .*\\?/')
    await page.locator('dialog button.danger').click()
    await card.waitFor({ state: 'detached' })
    expect(troubles).toEqual([])
    await close()
  })

  test('that came with the server show who runs them, and cannot be removed', async () => {
    const { page, close } = await visit(browser, fleet)
    await logIn(page)
    await page.goto(`${fleet.url}/plugins`)
    const card = page.locator('section.card', { hasText: 'os-updates' })
    await card.getByText('Built in').waitFor()
    expect(await card.getByRole('button', { name: /^Remove/ }).count()).toBe(0)
    await card.getByRole('button', { name: 'On 1 agent' }).click()
    await card.getByRole('link', { name: 'web-01' }).waitFor()
    await card.getByRole('button', { name: /^Asks for/ }).click()
    await card.getByText('As root').waitFor()
    expect(await accessibilityProblems(page)).toEqual([])
    await close()
  })
})

import { join } from 'node:path'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AptRoot, aptRootProblem, createAptRoot } from '../apt-root/create-apt-root.ts'
import { type AgentInRoot, installAgent } from '../fleet/agent-in-root.ts'
import { browserProblem, logIn, startBrowser, visit } from './browser.ts'

const problem = aptRootProblem() ?? browserProblem()
if (problem !== undefined) console.warn(`Skipped: a real upgrade from the browser. ${problem}`)

describe.skipIf(problem !== undefined)('a real upgrade from the browser', () => {
  let root: AptRoot
  let fleet: TestFleet
  let agent: AgentInRoot
  let browser: Browser

  beforeAll(async () => {
    root = await createAptRoot()
    await root.installPackage('fleet-demo', '1.0')
    await root.offer('fleet-demo', '2.0', { slowSeconds: 6 })
    fleet = await startTestFleet({ agents: [] })
    agent = installAgent(root, { id: 'apt-01', url: fleet.url, psk: 'a-secret-for-tests-0123456789' })
    agent.start()
    await fleet.client.until(
      'the update',
      async () => (await fleet.client.agent('apt-01'))?.facets['os-updates.pending'] === 1,
    )
    browser = await startBrowser()
  })

  afterAll(async () => {
    await browser?.close()
    await agent?.kill('SIGKILL')
    await fleet?.stop()
    await root?.dispose()
  })

  test('is planned, confirmed, watched in the live terminal, and leaves the host up to date', async () => {
    const { page, troubles, strangers, close } = await visit(browser, fleet)
    await logIn(page)
    await page.waitForSelector('text=1 update')
    await page.click('[aria-label="Choose all"]')
    await page.click('text=Upgrade…')
    await page.waitForSelector('td:has-text("fleet-demo")')
    expect(await page.innerText('table')).toMatch(/fleet-demo\s+1\.0\s+2\.0/)
    await page.click('button:has-text("Upgrade 1 host")')
    await page.click('dialog button:has-text("Upgrade 1 host")')
    await page.waitForURL('**/batches/*')
    await page.click('.host:has-text("apt-01") button:has-text("Log")')
    await page.waitForSelector('.xterm-rows :text("Unpacking")')
    await page.waitForSelector('.hosts [role=progressbar]')
    // For the docs: SCREENSHOTS=<folder>.
    if (process.env.SCREENSHOTS) await page.screenshot({ path: join(process.env.SCREENSHOTS, 'upgrade.png') })
    await page.waitForSelector('text=1 of 1 finished')
    await page.waitForSelector('.hosts >> text=Succeeded')
    await page.goto(`${fleet.url}/`)
    await page.waitForSelector('[role=row] >> text=Up to date')
    expect(troubles).toEqual([])
    expect(strangers).toEqual([])
    await close()
    const { stdout } = await root.run(['dpkg-query', '-W', '-f', '${Version}', 'fleet-demo'])
    expect(stdout).toBe('2.0')
  })

  test('is cancelled at the next safe point, and says so', async () => {
    await root.offer('fleet-demo', '3.0', { slowSeconds: 1 })
    await root.offer('fleet-slow', '1.0', { slowSeconds: 12 })
    // Somebody else installs something, so that the upgrade waits for the locks, where a cancel is safe.
    const other = root.run(['apt-get', '-y', 'install', 'fleet-slow'])
    await fleet.client.until('the other apt', async () => {
      const { stdout } = await root.run(['dpkg-query', '-W', '-f', '${db:Status-Status}', 'fleet-slow'])
      return stdout === 'half-configured'
    })
    const command = await fleet.client.submit('apt-01', 'apt-upgrade.run', { mode: 'all' })
    const { page, close } = await visit(browser, fleet)
    await logIn(page)
    await page.goto(`${fleet.url}/commands/${command.id}`)
    await page.waitForSelector('.xterm-rows :text("apt-upgrade.run")')
    await page.click('button:has-text("Cancel")')
    const confirm = page.locator('dialog button:has-text("Cancel")').first()
    if (await confirm.isVisible()) await confirm.click()
    await fleet.client.until(
      'the wish',
      async () => (await fleet.client.command(command.id)).cancelRequestedAt !== undefined,
    )
    expect(await fleet.client.finished(command.id)).toMatchObject({ state: 'cancelled' })
    await page.waitForSelector('text=Cancelled')
    expect((await other).exitCode).toBe(0)
    const { stdout } = await root.run(['dpkg-query', '-W', '-f', '${Version}', 'fleet-demo'])
    expect(stdout).toBe('2.0')
    await close()
  })
})

import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { builtIns } from '../repository.ts'
import { browserProblem, logIn, startBrowser, visit } from './browser.ts'
import { type Attempt, hangUp, type Outcome, updatesFacts, type WireHost, wireHost } from './wire-hosts.ts'

const problem = browserProblem()
if (problem !== undefined) console.warn(`Skipped: working with the dashboard. ${problem}`)

describe.skipIf(problem !== undefined)('working with the dashboard', () => {
  let fleet: TestFleet
  let browser: Browser
  const hosts = new Map<string, WireHost>()
  let failsOnce = true
  let finishRuns: () => void = () => undefined

  beforeAll(async () => {
    fleet = await startTestFleet({ ...builtIns, agents: [] })
    browser = await startBrowser()
    for (const id of ['web-01', 'web-02', 'db-01']) {
      const host = await wireHost(fleet, id, (attempt) => act(id, attempt))
      host.tell('os-updates', updatesFacts(['openssl', 'curl'], ['openssl']))
      hosts.set(id, host)
    }
    const { client } = fleet
    await client.until('facts', async () => (await client.agent('db-01'))?.facets['os-updates.pending'] === 2)
  })
  afterAll(async () => {
    await browser?.close()
    hangUp()
    await fleet?.stop()
  })

  async function act(id: string, { offer, write, progress, cancelled }: Attempt): Promise<Outcome> {
    const packages = ['openssl', 'curl'].map((name) => ({
      name,
      from: '1.0-1',
      to: '2.0-1',
      security: name === 'openssl',
    }))
    const plan = { packages, planHash: 'the-plan' }
    if (offer.command === 'plan') return { state: 'succeeded', result: plan }
    if (offer.command === 'follow') {
      write('one line of the log\n')
      await cancelled
      return { state: 'cancelled' }
    }
    if (offer.command !== 'run') return { state: 'succeeded' }
    write('\u001b[32mUnpacking\u001b[0m openssl\n')
    progress(40, 'openssl')
    await new Promise<void>((resolve) => {
      const before = finishRuns
      finishRuns = () => {
        before()
        resolve()
      }
    })
    if (id === 'web-02' && failsOnce) {
      failsOnce = false
      return { state: 'failed', reason: 'dpkg returned an error' }
    }
    hosts.get(id)?.tell('os-updates', updatesFacts([]))
    return { state: 'succeeded', result: { ...plan, planHash: '' } }
  }

  async function open(path: string): Promise<{ page: Page; close: () => Promise<void> }> {
    const visitor = await visit(browser, fleet)
    await logIn(visitor.page)
    if (path !== '/') await visitor.page.goto(fleet.url + path)
    return visitor
  }

  test('a wrong password is told apart, and an ended session leads back to the same place', async () => {
    const { page, close } = await visit(browser, fleet)
    await page.fill('#username', 'admin')
    await page.fill('#password', 'not the password')
    await page.click('button[type=submit]')
    await page.waitForSelector('text=User name or password is wrong.')
    await logIn(page)
    await page.goto(`${fleet.url}/settings`)
    await page.waitForSelector('h1:has-text("Settings")')
    await page.context().clearCookies()
    await page.click('nav >> text=Commands')
    await page.waitForSelector('text=Your session has ended')
    expect(new URL(page.url()).searchParams.get('to')).toBe('/commands')
    await page.fill('#username', 'admin')
    await page.fill('#password', 'a password for tests')
    await page.click('button[type=submit]')
    await page.waitForURL('**/commands')
    await close()
  })

  test('an upgrade goes from the plan over live progress to the end, and what failed is run again', async () => {
    const { page, close } = await open('/')
    await page.click('.tile:has-text("Have updates")')
    await page.waitForFunction(() => document.querySelectorAll('.body [role=row]').length === 3)
    const firstChosen = page.locator('.body .row.chosen')
    await page.click('.body [role=row] input >> nth=0')
    await firstChosen.waitFor()
    await page.click('.body [role=row] input >> nth=0')
    await firstChosen.waitFor({ state: 'detached' })
    await page.click('[aria-label="Choose all"]')
    await page.waitForSelector('text=3 chosen')
    await page.click('text=Upgrade…')
    await page.waitForSelector('text=2 packages')
    expect(await page.innerText('table')).toMatch(/openssl\s+Security\s+1\.0-1\s+2\.0-1\s+3/)
    await page.click('button:has-text("Upgrade 3 hosts")')
    await page.click('dialog button:has-text("Upgrade 3 hosts")')
    await page.waitForURL('**/batches/*')
    await page.waitForSelector('text=0 of 3 finished')
    await page.waitForFunction(
      () => document.querySelectorAll('.hosts [role=progressbar][aria-valuenow="40"]').length === 3,
    )
    await page.click('.host:has-text("web-01") button:has-text("Log")')
    await page.waitForSelector('.xterm-rows :text("Unpacking")')
    finishRuns()
    await page.waitForSelector('text=3 of 3 finished')
    await page.waitForSelector('text=dpkg returned an error')
    await page.click('button:has-text("Retry 1 that failed")')
    await page.waitForSelector('text=1 host')
    await page.waitForSelector('text=Running')
    finishRuns()
    await page.waitForSelector('text=1 of 1 finished')
    await page.waitForSelector('.hosts >> text=Succeeded')
    await close()
  })

  test('a followed log is shown live, filtered, and stopped', async () => {
    const { page, close } = await open('/agents/web-01/log-stream')
    await page.fill('input[list]', 'ssh')
    await page.click('button:has-text("Follow")')
    await page.waitForSelector('.xterm-rows :text("one line of the log")')
    await page.fill('[aria-label="Show only lines with…"]', 'nothing like it')
    await page.waitForFunction(
      () => !document.querySelector('.xterm-rows')?.textContent?.includes('one line'),
    )
    await page.fill('[aria-label="Show only lines with…"]', 'LOG')
    await page.waitForSelector('.xterm-rows :text("one line of the log")')
    await page.click('button:has-text("Stop")')
    await page.waitForSelector('.view >> text=Cancelled')
    await close()
  })

  test('the list is live: an agent that goes and comes back, and facts that change', async () => {
    const { page, close } = await open('/')
    const row = page.locator('.body [role=row]:has-text("db-01")')
    await row.locator('text=Up to date').waitFor()
    hosts.get('db-01')?.tell('os-updates', updatesFacts(['bash', 'curl', 'git']))
    await row.locator('text=3 updates').waitFor()
    hosts.get('db-01')?.agent.terminate()
    await row.locator('.dot.offline').waitFor()
    await hosts.get('db-01')?.agent.join()
    await row.locator('.dot.online').waitFor()
    await close()
  })

  test('a lost server is told quietly, and regained by itself', async () => {
    const { page, close } = await open('/commands')
    await page.waitForSelector('tbody tr')
    await fleet.server.kill('SIGKILL')
    await page.waitForSelector('text=Reconnecting…')
    await fleet.server.restart()
    await page.waitForSelector('text=Reconnecting…', { state: 'detached' })
    await page.click('nav >> text=Plugins')
    await page.waitForSelector('h2:has-text("Upgrades")')
    await close()
  })
})

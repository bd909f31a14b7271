import { join } from 'node:path'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { builtIns } from '../repository.ts'
import { accessibilityProblems } from './axe.ts'
import { browserProblem, logIn, startBrowser, visit } from './browser.ts'
import { hangUp, updatesFacts, wireHost } from './wire-hosts.ts'

const problem = browserProblem()
if (problem !== undefined) console.warn(`Skipped: the pages of the dashboard. ${problem}`)

describe.skipIf(problem !== undefined)('the pages of the dashboard', () => {
  let fleet: TestFleet
  let browser: Browser
  let paths: Readonly<Record<string, string>>

  beforeAll(async () => {
    fleet = await startTestFleet({ ...builtIns, agents: [] })
    browser = await startBrowser()
    const host = await wireHost(fleet, 'web-01', async ({ offer, write, cancelled }) => {
      write('\u001b[32mUnpacking\u001b[0m demo\n')
      if (offer.command === 'follow') await cancelled
      return { state: offer.command === 'check' ? 'failed' : 'succeeded', reason: 'as the test wants it' }
    })
    host.tell('os-updates', updatesFacts(['openssl', 'curl'], ['openssl']))
    host.tell('sudo-check', {
      privileges: [{ id: 'update', plugin: 'os-updates', ok: false, missing: 'a line' }],
    })
    ;(await wireHost(fleet, 'db-01')).tell('os-updates', updatesFacts([]))
    const { client } = fleet
    await client.until('facts', async () => (await client.agent('db-01'))?.facets['os-updates.pending'] === 0)
    const done = await client.finished((await client.submit('web-01', 'os-updates.refresh')).id)
    const failed = await client.finished((await client.submit('web-01', 'sudo-check.check')).id)
    await client.submit('web-01', 'log-stream.follow', { unit: 'ssh' })
    const batch = await client.request<{ batch: { id: string } }>('POST', '/api/commands', {
      command: 'os-updates.refresh',
      input: {},
      targets: { agents: ['web-01', 'db-01'] },
    })
    paths = {
      fleet: '/',
      'one filter': '/?filter=os-updates.outdated',
      'nothing found': '/?q=nobody',
      agent: '/agents/web-01',
      metrics: '/agents/web-01/metrics',
      logs: '/agents/web-01/log-stream',
      history: '/agents/web-01/history',
      'unknown agent': '/agents/nobody',
      commands: '/commands',
      command: `/commands/${done.id}`,
      'failed command': `/commands/${failed.id}`,
      batch: `/batches/${batch.body.batch.id}`,
      upgrade: '/panels/apt-upgrade',
      plan: '/panels/apt-upgrade?agents=db-01',
      'agent updates': '/panels/agent-update',
      plugins: '/plugins',
      settings: '/settings',
      account: '/account',
      people: '/people',
      enrolment: '/enrolment',
      audit: '/audit',
      'refusals only': '/audit?outcome=refused',
      'no such row': '/audit?actor=nobody-of-this-name',
      nowhere: '/no/such/page',
    }
  })
  afterAll(async () => {
    await browser?.close()
    hangUp()
    await fleet?.stop()
  })

  for (const look of [
    { name: 'light, English', colorScheme: 'light', locale: 'en-GB', viewport: { width: 1360, height: 860 } },
    { name: 'dark, French', colorScheme: 'dark', locale: 'fr-FR', viewport: { width: 1360, height: 860 } },
    {
      name: 'phone',
      colorScheme: 'light',
      locale: 'fr-FR',
      viewport: { width: 390, height: 844 },
      hasTouch: true,
    },
  ] as const)
    test(`are accessible, quiet and ask nobody else: ${look.name}`, async () => {
      const { name: _, ...options } = look
      const visitor = await visit(browser, fleet, options)
      const { page } = visitor
      await page.waitForSelector('#username')
      const found: string[] = (await accessibilityProblems(page)).map((line) => `login: ${line}`)
      await logIn(page)
      for (const [name, path] of Object.entries(paths)) {
        await page.goto(fleet.url + path)
        await page.waitForSelector('h1')
        await page.waitForLoadState('networkidle')
        await page.waitForFunction(() => document.querySelector('.skeleton') === null)
        // For the README and the docs: SCREENSHOTS=<folder>.
        if (process.env.SCREENSHOTS)
          await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name} (${look.name}).png`) })
        found.push(...(await accessibilityProblems(page)).map((line) => `${name}: ${line}`))
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
        if (wide > 0) found.push(`${name}: the page is ${wide} px wider than the screen`)
        if (/\b[a-z]+\.[a-z]+[A-Z][a-z]+\b/.test(await page.innerText('h1')))
          found.push(`${name}: shows a key instead of a text`)
      }
      expect(found).toEqual([])
      expect(visitor.troubles).toEqual([])
      expect(visitor.strangers).toEqual([])
      await visitor.close()
    })

  test('the keyboard alone finds an agent, a page and a command', async () => {
    const { page, close } = await visit(browser, fleet)
    await logIn(page)
    await page.waitForSelector('[role=table]')
    await page.keyboard.press('/')
    await page.keyboard.type('web')
    await page.waitForFunction(() => document.querySelectorAll('.body [role=row]').length === 1)
    await page.keyboard.press('Control+k')
    await page.keyboard.type('db-0')
    await page.waitForSelector('[role=option]:has-text("db-01")')
    expect(await accessibilityProblems(page)).toEqual([])
    await page.keyboard.press('Enter')
    await page.waitForURL('**/agents/db-01')
    await page.keyboard.press('Control+k')
    await page.keyboard.type('refresh')
    await page.waitForSelector('[role=option]:has-text("Refresh the package index")')
    await page.keyboard.press('Enter')
    await page.waitForSelector('dialog[open] form')
    expect(await accessibilityProblems(page)).toEqual([])
    await page.keyboard.press('Escape')
    await page.waitForSelector('dialog[open]', { state: 'detached' })
    await close()
  })
})

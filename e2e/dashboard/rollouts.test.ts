import { join } from 'node:path'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { builtIns } from '../repository.ts'
import { accessibilityProblems } from './axe.ts'
import { browserProblem, logIn, startBrowser, type Visit, visit } from './browser.ts'
import { type ReleaseHost, releaseHost } from './release-host.ts'
import { hangUp } from './wire-hosts.ts'

const problem = browserProblem()
if (problem !== undefined) console.warn(`Skipped: rollouts in the dashboard. ${problem}`)

const path = '/panels/agent-update'
const fault = '2.0.0 ended again and again: TypeError: this.config is not a function'

describe.skipIf(problem !== undefined)('the page of agent updates', () => {
  let fleet: TestFleet
  let browser: Browser
  let visitor: Visit
  let page: Page
  const hosts = new Map<string, ReleaseHost>()
  const host = (id: string): ReleaseHost => hosts.get(id) as ReleaseHost
  const versions = () => Object.fromEntries([...hosts].map(([id, one]) => [id, one.installed()]))
  /** The card of the rollout that is shown in full. */
  const stands = (title: string, state: string) =>
    page
      .locator('section.card', { has: page.getByRole('heading', { name: title, exact: true }) })
      .getByText(state, { exact: true })
      .waitFor()
  const button = (name: string) => page.getByRole('button', { name, exact: true })

  beforeAll(async () => {
    // One real agent of this checkout, which cannot update itself, beside hosts that can.
    fleet = await startTestFleet({ ...builtIns, agents: ['dev-box'] })
    browser = await startBrowser()
    for (const [index, id] of ['db-01', 'db-02', 'web-01', 'web-02', 'web-03', 'web-04'].entries()) {
      const installed = index === 1 ? '1.0.0' : '1.1.0'
      hosts.set(id, await releaseHost(fleet, id, { installed, offered: '2.0.0' }))
    }
    const { client } = fleet
    await client.until('the facts of all', async () => {
      const { body } = await client.request<{ behind: number; cannot: number }>(
        'GET',
        '/api/plugins/agent-update/fleet',
      )
      return body.behind === 6 && body.cannot === 1
    })
    visitor = await visit(browser, fleet)
    page = visitor.page
    await logIn(page)
  })
  afterAll(async () => {
    await browser?.close()
    hangUp()
    await fleet?.stop()
  })

  /** As it stands: accessible, and no wider than the screen. For the docs: SCREENSHOTS=<folder>. */
  async function inspect(name: string, on = page): Promise<void> {
    await on.waitForLoadState('networkidle')
    const folder = process.env.SCREENSHOTS
    if (folder) await on.screenshot({ path: join(folder, `rollout ${name}.png`), fullPage: true })
    expect(await accessibilityProblems(on), name).toEqual([])
    expect(await on.evaluate(() => document.documentElement.scrollWidth - innerWidth), name).toBeLessThan(1)
  }

  test('shows which versions the fleet runs, and what is available', async () => {
    await page.goto(fleet.url + path)
    await page.getByRole('img', { name: /^1\.1\.0: 5 agents, 1\.0\.0: 1 agent, \d.*: 1 agent$/ }).waitFor()
    await page.getByText('1 agent cannot update itself').waitFor()
    await page.getByText('for 6 agents that are behind').waitFor()
    await page.getByText('No rollout yet').waitFor()
    await inspect('before')
  })

  test('starts one by the keyboard alone, with the sizes one gives it', async () => {
    const second = page.getByRole('spinbutton', { name: 'Size of stage 2' })
    await second.focus()
    await page.keyboard.press('Control+a')
    await page.keyboard.type('0')
    await page.getByText('1 to 100 %, or whole agents').waitFor()
    expect(await button('Start the rollout').isDisabled()).toBe(true)
    await page.keyboard.press('Control+a')
    await page.keyboard.type('2')
    await page.keyboard.press('Tab')
    await page.keyboard.type('more') // the list of the unit
    await page.getByLabel('Begin with').focus()
    await page.keyboard.type('web-01')
    await button('Start the rollout').focus()
    await page.keyboard.press('Enter')
    await page.getByText('Agents by stage: 1 → 2 → 3.').waitFor()
    await inspect('question')
    host('web-01').hold = new Promise((resolve) => {
      letGo = resolve
    })
    await page.locator('dialog').getByRole('button', { name: 'Start the rollout' }).focus()
    await page.keyboard.press('Enter')
    await page.waitForURL('**/panels/agent-update?rollout=*')
  })
  let letGo: () => void = () => undefined

  test('shows live how it goes', async () => {
    await page.getByRole('heading', { name: 'Update to 2.0.0' }).waitFor()
    await page.getByText('Trying 2.0.0').waitFor()
    const stages = page.getByRole('list', { name: 'Stages of this rollout' }).getByRole('listitem')
    await stages.nth(0).getByText('0 of 1 through · 1 at it').waitFor()
    expect(await stages.nth(2).innerText()).toContain('not begun')
    expect(await stages.nth(0).getAttribute('aria-current')).toBe('step')
    expect(await button('Start the rollout').count()).toBe(0)
    await inspect('under way')
    host('db-01').hold = new Promise((resolve) => {
      letDbGo = resolve
    })
    host('db-02').fault = fault
    letGo()
    await stages.nth(0).getByText('1 of 1 through').waitFor()
  })
  let letDbGo: () => void = () => undefined

  test('halts by itself, says who failed and why, and follows the others to their end', async () => {
    await page.getByText('It halted by itself: 1 agent failed').waitFor()
    await page.getByText('tried 2.0.0, which the server did not let in').waitFor()
    await page.locator('code', { hasText: `Back to 1.0.0: ${fault}` }).waitFor()
    const stages = page.getByRole('list', { name: 'Stages of this rollout' }).getByRole('listitem')
    await stages.nth(1).getByText('0 of 2 through · 1 failed · 1 at it').waitFor()
    await page.getByRole('img', { name: /^2\.0\.0: 1 agent, / }).waitFor()
    expect(await button('Start the rollout').count()).toBe(0)
    await inspect('halted')
    letDbGo()
    await stages.nth(1).getByText('1 of 2 through · 1 failed').waitFor()
    expect(versions()).toEqual({
      ...{ 'db-01': '2.0.0', 'db-02': '1.0.0', 'web-01': '2.0.0' },
      ...{ 'web-02': '1.1.0', 'web-03': '1.1.0', 'web-04': '1.1.0' },
    })
  })

  test('is read as well on a phone, in French, in the dark', async () => {
    const phone = await visit(browser, fleet, {
      ...{ locale: 'fr-FR', colorScheme: 'dark', viewport: { width: 390, height: 844 }, hasTouch: true },
    })
    await logIn(phone.page)
    await phone.page.goto(fleet.url + path)
    await phone.page.getByText('Suspendu de lui-même : 1 agent a échoué').waitFor()
    await phone.page.getByText('l’agent d’avant fonctionne de nouveau').waitFor()
    await inspect('halted, phone', phone.page)
    expect(phone.troubles).toEqual([])
    await phone.close()
  })

  test('shows a viewer how it stands, and nothing to press', async () => {
    const password = 'a password for tests'
    await fleet.client.request('POST', '/api/users', { name: 'vera', role: 'viewer', password })
    const viewer = await visit(browser, fleet)
    await viewer.page.fill('#username', 'vera')
    await viewer.page.fill('#password', password)
    await viewer.page.click('button[type=submit]')
    await viewer.page.waitForSelector('.tiles, .first')
    await viewer.page.goto(fleet.url + path)
    await viewer.page.getByText('It halted by itself: 1 agent failed').waitFor()
    for (const name of ['Go on', 'Stop', 'Roll back', 'Start the rollout'])
      expect(await viewer.page.getByRole('button', { name, exact: true }).count(), name).toBe(0)
    await viewer.close()
  })

  test('goes on when the fault is mended, to the last agent', async () => {
    host('db-02').fault = undefined
    await button('Go on').click()
    await stands('Update to 2.0.0', 'Done')
    expect(new Set(Object.values(versions()))).toEqual(new Set(['2.0.0']))
    await page.getByRole('img', { name: /^2\.0\.0: 6 agents, / }).waitFor()
    await page.getByText('Every agent runs what is available').waitFor()
    await inspect('done')
  })

  test('rolls back to what ran before on each machine', async () => {
    await button('Roll back').click()
    await page.getByText('Put 6 agents back from 2.0.0?').waitFor()
    await page.locator('dialog').getByRole('button', { name: 'Roll back' }).click()
    await stands('Back from 2.0.0', 'Done')
    expect(versions()).toMatchObject({ 'db-01': '1.1.0', 'db-02': '1.0.0', 'web-04': '1.1.0' })
    expect(await page.getByRole('list', { name: 'Earlier rollouts' }).getByRole('listitem').count()).toBe(2)
    await page.getByRole('link', { name: 'Open: Update to 2.0.0' }).click()
    await page.getByRole('heading', { name: 'Update to 2.0.0' }).waitFor()
  })

  test('is halted by a person, and stopped for good', async () => {
    host('db-01').hold = new Promise((resolve) => {
      letDbGo = resolve
    })
    await page.goto(fleet.url + path)
    await button('Start the rollout').click()
    await page.locator('dialog').getByRole('button', { name: 'Start the rollout' }).click()
    await button('Halt').click()
    await page.getByText('Halted by admin').waitFor()
    await button('Stop').click()
    await page.locator('dialog').getByRole('button', { name: 'Stop' }).click()
    await stands('Update to 2.0.0', 'Stopped')
    letDbGo()
    await page.getByText('1 of 1 through').waitFor()
  })

  test('says where the server does not answer, and shows all of it again when it does', async () => {
    const cut = await visit(browser, fleet, { locale: 'fr-FR' })
    await logIn(cut.page)
    await cut.page.route('**/api/plugins/agent-update/**', (route) => route.abort())
    await cut.page.goto(fleet.url + path)
    await cut.page.getByText('Le serveur ne répond pas').waitFor()
    await inspect('no answer', cut.page)
    await cut.page.unroute('**/api/plugins/agent-update/**')
    await cut.page.getByRole('button', { name: 'Réessayer' }).click()
    await cut.page.getByRole('list', { name: 'Déploiements précédents' }).waitFor()
    await cut.page.getByText('Le serveur ne répond pas').waitFor({ state: 'detached' })
    await cut.close()
  })

  test('names who cannot be updated, before anything begins', async () => {
    await page.goto(`${fleet.url}${path}?agents=dev-box`)
    await page.getByText('for the chosen agent').waitFor()
    await button('Start the rollout').click()
    await page.locator('dialog').getByRole('button', { name: 'Start the rollout' }).click()
    await page
      .getByText('dev-box cannot be updated: This agent was not installed by the installer.')
      .waitFor()
    await inspect('refused')
    expect(visitor.troubles).toEqual([])
    expect(visitor.strangers).toEqual([])
  })
})

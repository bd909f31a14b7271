import { logIn as newClient, startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { accessibilityProblems } from './axe.ts'
import { browserProblem, logIn, startBrowser, type Visit, visit } from './browser.ts'
import { totpCode } from './totp-code.ts'

const problem = browserProblem()
if (problem !== undefined) console.warn(`Skipped: people in the dashboard. ${problem}`)

describe.skipIf(problem !== undefined)('people', () => {
  let fleet: TestFleet
  let browser: Browser

  beforeAll(async () => {
    fleet = await startTestFleet({ agents: [] })
    browser = await startBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    await fleet?.stop()
  })

  async function open(path: string): Promise<Visit> {
    const visitor = await visit(browser, fleet)
    await logIn(visitor.page)
    await visitor.page.goto(fleet.url + path)
    await visitor.page.waitForSelector('h1')
    return visitor
  }
  async function logInAs(name: string, password: string): Promise<Visit> {
    const visitor = await visit(browser, fleet)
    await fill(visitor.page, { 'User name': name, Password: password })
    await visitor.page.click('button[type=submit]')
    return visitor
  }
  async function add(page: Page, name: string, role: string, password: string): Promise<void> {
    await page.click('button:has-text("Add a person")')
    await fill(page, { 'User name': name, Password: password })
    await page.getByLabel('Role', { exact: true }).selectOption(role)
    await page.click('dialog button[type=submit]')
  }
  async function fill(page: Page, fields: Readonly<Record<string, string>>): Promise<void> {
    for (const [label, text] of Object.entries(fields))
      await page.getByLabel(label, { exact: true }).fill(text)
  }

  test('are added with what is wrong said at the field, and a viewer sees no page of admins, nor does the API let one in', async () => {
    const { page, close } = await open('/people')
    await page.click('button:has-text("Add a person")')
    await page.click('dialog button[type=submit]')
    await page.waitForSelector('dialog .problem:has-text("needed")')
    await page.waitForSelector('dialog .problem:has-text("at least 10")')
    await fill(page, { 'User name': 'admin', Password: 'long enough 123' })
    await page.click('dialog button[type=submit]')
    await page.waitForSelector('dialog .problem:has-text("somebody of this name")')
    expect(await accessibilityProblems(page)).toEqual([])
    await fill(page, { 'User name': 'vera' })
    await page.getByLabel('Role', { exact: true }).selectOption('viewer')
    await page.click('dialog button[type=submit]')
    await page.waitForSelector('tr:has-text("vera") >> text=Viewer')

    const vera = await logInAs('vera', 'long enough 123')
    await vera.page.waitForSelector('nav >> text=Fleet')
    expect(await vera.page.innerText('header nav')).not.toMatch(/People|Audit|Enrolment/)
    await vera.page.goto(`${fleet.url}/people`)
    await vera.page.waitForURL(`${fleet.url}/`)
    const statuses = await vera.page.evaluate(async () => {
      const paths = ['users', 'audit', 'enrolment/tokens', 'admin/plugins', 'server']
      return Promise.all(paths.map(async (path) => (await fetch(`api/${path}`)).status))
    })
    expect(statuses).toEqual([403, 403, 403, 403, 403])

    await page.reload()
    await page.click('button[aria-label="Edit vera"]')
    await page.click('dialog button:has-text("Disable")')
    await page.waitForSelector('text=Disable vera?')
    await page.locator('dialog button.danger').click()
    await page.waitForSelector('tr:has-text("vera") >> text=Disabled')
    // Her page finds out with the next thing it asks.
    await vera.page.click('nav >> text=Commands')
    await vera.page.waitForSelector('text=Your session has ended')
    await fill(vera.page, { 'User name': 'vera', Password: 'long enough 123' })
    await vera.page.click('button[type=submit]')
    await vera.page.waitForSelector('text=This account is disabled')
    await page.click('button[aria-label="Edit vera"]')
    await page.click('dialog button:has-text("Remove")')
    await page.waitForSelector('text=Remove vera?')
    await page.locator('dialog button.danger').click()
    await page.waitForSelector('tr:has-text("vera")', { state: 'detached' })
    await close()
    await vera.close()
  })

  test('turn on a second factor from a code drawn in the page, log in with it, and with a recovery code', async () => {
    const admin = await open('/people')
    await add(admin.page, 'tess', 'operator', 'long enough 123')
    await admin.page.waitForSelector('tr:has-text("tess")')
    await admin.close()
    const { page, close, strangers } = await logInAs('tess', 'long enough 123')
    await page.waitForSelector('nav >> text=Fleet')
    await page.goto(`${fleet.url}/account`)
    await page.click('button:has-text("Set up a second factor")')
    await page.getByRole('dialog').getByLabel('Current password').fill('not it at all')
    await page.click('dialog button[type=submit]')
    await page.waitForSelector('dialog .problem:has-text("not your current password")')
    await page.getByRole('dialog').getByLabel('Current password').fill('long enough 123')
    await page.click('dialog button[type=submit]')
    await page.waitForSelector('dialog svg.qr path')
    expect(await accessibilityProblems(page)).toEqual([])
    const secret = await page.innerText('dialog .code code')
    await page.getByRole('dialog').getByLabel('Code', { exact: true }).fill('000000')
    await page.click('dialog button[type=submit]')
    await page.waitForSelector('dialog .problem')
    await page.getByRole('dialog').getByLabel('Code', { exact: true }).fill(totpCode(secret, -1))
    await page.click('dialog button[type=submit]')
    await page.waitForSelector('text=Keep these recovery codes')
    const codes = (await page.innerText('dialog .code code')).trim().split('\n')
    expect(codes).toHaveLength(10)
    await page.click('dialog button:has-text("I have kept them")')
    await page.waitForSelector('text=Turn off the second factor')
    expect(strangers).toEqual([])
    await close()

    for (const code of [totpCode(secret), codes[0] ?? '']) {
      const again = await logInAs('tess', 'long enough 123')
      await again.page.waitForSelector('#code')
      await again.page.fill('#code', code)
      await again.page.click('button[type=submit]')
      await again.page.waitForSelector('nav >> text=Fleet')
      await again.close()
    }
    const used = await logInAs('tess', 'long enough 123')
    await used.page.fill('#code', codes[0] ?? '')
    await used.page.click('button[type=submit]')
    await used.page.waitForSelector('text=wrong or was used already')
    await used.close()
  })

  test('see where they are logged in, and end the others', async () => {
    const { page, close } = await open('/account')
    const other = await open('/')
    await page.reload()
    await page.waitForSelector('text=This one')
    await page.click('button:has-text("End all others")')
    await page.locator('dialog button.danger').click()
    await page.waitForFunction(() => document.querySelectorAll('button[aria-label^="End:"]').length === 0)
    await other.page.click('nav >> text=Commands')
    await other.page.waitForSelector('text=Your session has ended')
    await other.close()
    await close()
  })

  test('make a token that a program uses until it is revoked', async () => {
    const { page, close } = await open('/account')
    await page.click('button:has-text("Make a token")')
    await page.getByLabel('What it is for').fill('nightly report')
    await page.click('dialog button[type=submit]')
    await page.waitForSelector('dialog >> text=Copy it now')
    const token = (await page.innerText('dialog .code code >> nth=0')).trim()
    expect(token).toMatch(/^flt_/)
    const ask = async (): Promise<number> =>
      (await fetch(`${fleet.url}/api/agents`, { headers: { authorization: `Bearer ${token}` } })).status
    expect(await ask()).toBe(200)
    const asAdmin = await fetch(`${fleet.url}/api/users`, { headers: { authorization: `Bearer ${token}` } })
    expect(asAdmin.status).toBe(403)
    await page.click('dialog button:has-text("Done")')
    await page.waitForSelector('tr:has-text("nightly report")')
    expect(await page.content()).not.toContain(token)
    await page.click('tr:has-text("nightly report") button:has-text("Revoke")')
    await page.locator('dialog button.danger').click()
    await page.waitForSelector('tr:has-text("nightly report")', { state: 'detached' })
    expect(await ask()).toBe(401)
    await close()
  })

  test('see the audit grow while they look, and what they opened stays open', async () => {
    // The client of the fleet was signed out above, with all others.
    const client = await newClient(fleet.url, 'admin', 'a password for tests')
    const { page, close } = await open('/audit')
    const rows = page.locator('.rows > li')
    await rows.first().locator('.line').click()
    const opened = await page.locator('.details .hash').innerText()
    const made = await client.request<{ id: string }>('POST', '/api/users', {
      name: 'katherine',
      role: 'viewer',
      password: 'a password for tests',
    })
    const katherines = rows.locator('.target', { hasText: /^katherine$/ })
    await katherines.first().waitFor()
    await client.request('DELETE', `/api/users/${made.body.id}`)
    await katherines.nth(1).waitFor()
    expect(await page.locator('.details .hash').allInnerTexts()).toEqual([opened])
    await page.goto(`${fleet.url}/audit?outcome=refused`)
    const refused = page.locator('.rows > li.refused')
    await refused.first().waitFor()
    const count = await refused.count()
    await client.request('GET', '/api/users', undefined, { authorization: 'Bearer nobody' })
    await refused.nth(count).waitFor()
    expect(await page.locator('.rows > li:not(.refused)').count()).toBe(0)
    await close()
  })

  test('leave their deeds in the audit, which is filtered and verified', async () => {
    const { page, close } = await open('/audit')
    await page.waitForSelector('.rows >> text=Revoked an API token')
    await page.getByLabel('What', { exact: true }).selectOption('user.disabled')
    await page.waitForFunction(() => document.querySelectorAll('.rows > li').length === 1)
    await page.waitForSelector('.rows >> text=vera')
    await page.click('.rows button')
    await page.waitForSelector('.rows dl >> text=user.disabled')
    await page.goto(`${fleet.url}/audit?outcome=refused`)
    await page.waitForSelector('.rows li.refused')
    expect(await page.locator('.rows li.done').count()).toBe(0)
    await page.goto(`${fleet.url}/audit?to=2020-01-01`)
    await page.waitForSelector('text=No row fits')
    await page.click('button:has-text("Verify the chain")')
    await page.waitForSelector('text=nothing was edited, inserted, removed or cut off')
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('a:has-text("Export")')])
    expect(download.suggestedFilename()).toBe('audit.jsonl')
    await close()
  })
})

import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { builtIns } from '../repository.ts'
import { browserProblem, logIn, startBrowser, visit } from './browser.ts'
import { greetingPanel, outsidePlugin, throwingPanel, unreadablePanel } from './outside-panels.ts'
import { hangUp, updatesFacts, wireHost } from './wire-hosts.ts'

const problem = browserProblem()
if (problem !== undefined) console.warn(`Skipped: panels from outside. ${problem}`)

describe.skipIf(problem !== undefined)('panels from outside the repository', () => {
  let fleet: TestFleet
  let browser: Browser

  beforeAll(async () => {
    const slots = ['agent.card']
    const shout = {
      title: 'Shout',
      description: 'Says a word.',
      input: {
        type: 'object',
        properties: {
          word: { type: 'string', title: 'Word', maxLength: 5 },
          times: { type: 'integer', minimum: 1 },
        },
        required: ['word'],
        additionalProperties: false,
      },
    }
    fleet = await startTestFleet({
      ...builtIns,
      agents: [],
      plugins: [
        outsidePlugin({
          id: 'greeting',
          title: 'Greeting',
          slots,
          panel: greetingPanel,
          commands: { shout },
        }),
        outsidePlugin({ id: 'throwing', title: 'Throwing', slots, panel: throwingPanel }),
        outsidePlugin({ id: 'unreadable', title: 'Unreadable', slots, panel: unreadablePanel }),
      ],
    })
    browser = await startBrowser()
    const host = await wireHost(fleet, 'web-01')
    host.tell('os-updates', updatesFacts(['curl']))
  })
  afterAll(async () => {
    await browser?.close()
    hangUp()
    await fleet?.stop()
  })

  test('look native, speak the language of the person, and share the one vue', async () => {
    const { page, close } = await visit(browser, fleet)
    await logIn(page)
    await page.goto(`${fleet.url}/agents/web-01`)
    await page.waitForSelector('h2:has-text("Hello from outside")')
    await page.click('text=Once more')
    await page.waitForSelector('.greeting:has-text("web-01 1")')
    expect(await page.locator('.greeting').evaluate((element) => getComputedStyle(element).color)).toBe(
      'rgb(1, 2, 3)',
    )
    await page.goto(`${fleet.url}/settings`)
    await page.click('text=Français')
    await page.goto(`${fleet.url}/agents/web-01`)
    await page.waitForSelector('h2:has-text("Bonjour du dehors")')
    await close()
  })

  test('that are broken show their name and reason while the rest works', async () => {
    const { page, close } = await visit(browser, fleet)
    await logIn(page)
    await page.goto(`${fleet.url}/agents/web-01`)
    await page.waitForSelector('text=The panel of “Throwing” does not work')
    await page.waitForSelector('text=it fell over')
    await page.waitForSelector('text=The panel of “Unreadable” does not work')
    await page.waitForSelector('strong:has-text("curl")')
    await close()
  })

  test('without a form of their own get one made from the input schema', async () => {
    const { page, close } = await visit(browser, fleet)
    await logIn(page)
    await page.goto(`${fleet.url}/plugins`)
    await page.click('button:has-text("Shout")')
    const form = page.locator('dialog form')
    await page.fill('#run-agents', 'web-01')
    await form.locator('button[type=submit]').click()
    await form.locator('text=This is needed.').waitFor()
    await form.locator('label:has-text("Word") + input').fill('too long')
    await form.locator('label:has-text("Times") + input').fill('0')
    await form.locator('button[type=submit]').click()
    await form.locator('text=At most 5 characters.').waitFor()
    await form.locator('text=At least 1.').waitFor()
    await form.locator('label:has-text("Word") + input').fill('hey')
    await form.locator('label:has-text("Times") + input').fill('2')
    await form.locator('button[type=submit]').click()
    await page.waitForURL('**/commands/*')
    await page.waitForSelector('h1:has-text("Shout")')
    await close()
  })
})

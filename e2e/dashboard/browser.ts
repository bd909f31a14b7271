import { existsSync } from 'node:fs'
import type { TestFleet } from '@fleetupdate/sdk/testing'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'

/** Why no browser can be started; undefined where one can. */
export function browserProblem(): string | undefined {
  return existsSync(executablePath)
    ? undefined
    : `There is no ${executablePath}; set CHROMIUM to a Chromium's path.`
}

export function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}

/** A page of a person who is not logged in yet, and what went wrong on it. */
export interface Visit {
  readonly page: Page
  /** Uncaught errors, errors of the console, and answers of 5xx. */
  readonly troubles: string[]
  /** Requests to anywhere but the fleet's own server. */
  readonly strangers: string[]
  close(): Promise<void>
}

export async function visit(
  browser: Browser,
  fleet: Pick<TestFleet, 'url'>,
  options: BrowserContextOptions = {},
): Promise<Visit> {
  const context = await browser.newContext({
    viewport: { width: 1360, height: 860 },
    locale: 'en-GB',
    ...options,
  })
  const page = await context.newPage()
  const troubles: string[] = []
  const strangers: string[] = []
  page.on('pageerror', (error) => troubles.push(`uncaught: ${error.message}`))
  page.on('console', (message) => {
    // A refused login and a lost server are spoken of by the page itself.
    if (message.type() === 'error' && !/status of 4\d\d|ERR_CONNECTION|WebSocket/.test(message.text()))
      troubles.push(`console: ${message.text()}`)
  })
  page.on('response', (response) => {
    if (response.status() >= 500) troubles.push(`${response.status()} ${response.url()}`)
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(fleet.url) && !request.url().startsWith('data:'))
      strangers.push(request.url())
  })
  await page.goto(`${fleet.url}/`)
  return { page, troubles, strangers, close: () => context.close() }
}

/** Logs in as the administrator, by default of a test fleet; resolves when the fleet is shown. */
export async function logIn(page: Page, password = 'a password for tests'): Promise<void> {
  await page.fill('#username', 'admin')
  await page.fill('#password', password)
  await page.click('button[type=submit]')
  await page.waitForSelector('.tiles, .first')
}

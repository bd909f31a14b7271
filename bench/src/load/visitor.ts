import { browserProblem, startBrowser, visit } from '@fleetupdate/e2e/dashboard/browser.ts'
import type { Page } from 'playwright-core'
import type { Server } from './server.ts'

/** Opens the dashboard of a server in a real browser and lets `look` measure; rejects where the page had an error. undefined: there is no browser. */
export async function withVisitor<T>(
  server: Server,
  look: (page: Page) => Promise<T>,
): Promise<T | undefined> {
  const problem = browserProblem()
  if (problem !== undefined) {
    console.log(`  Not measured in a browser. ${problem}`)
    return undefined
  }
  const browser = await startBrowser()
  try {
    const { page, troubles } = await visit(browser, server)
    const seen = await look(page)
    if (troubles.length > 0) throw new Error(troubles.join('\n'))
    return seen
  } finally {
    await browser.close()
  }
}

/** Resolves after the page has drawn once more. */
export function drawn(page: Page): Promise<number> {
  return page.evaluate(() => new Promise<number>((resolve) => requestAnimationFrame(resolve)))
}

import { browserProblem, logIn, startBrowser, visit } from '../../dashboard/browser.ts'
import { actsOn, hostilePages, startHostileHost, watchForActs } from '../../dashboard/hostile-host.ts'
import { hostileStrings } from '../../dashboard/hostile-strings.ts'
import { hangUp } from '../../dashboard/wire-hosts.ts'
import type { Attack } from '../attack.ts'

/** An agent that puts markup into every field, and an admin who looks at all of it in a real browser. */
export const xssAttack: Attack = {
  name: 'xss',
  title: 'markup in every field an agent can fill, shown to an admin in a real browser',
  required: '0 of at least 200 strings act, 0 requests elsewhere',
  async run({ fleet }, size) {
    const problem = browserProblem()
    if (problem !== undefined) return { passed: true, reached: `skipped: ${problem}` }
    const id = 'evil-01'
    const commandId = await startHostileHost(fleet, id)
    const browser = await startBrowser()
    const found: string[] = []
    const pages = hostilePages(id, commandId).slice(0, size === 'full' ? undefined : 2)
    try {
      const { page, strangers } = await visit(browser, fleet)
      await watchForActs(page)
      await logIn(page)
      for (const path of pages) {
        await page.goto(fleet.url + path)
        await page.waitForSelector('h1')
        await page.waitForLoadState('networkidle')
        const acts = await actsOn(page)
        if (acts > 0) found.push(`${acts} on ${path}`)
      }
      if (strangers.length > 0) found.push(`requests to ${strangers.slice(0, 3).join(', ')}`)
    } finally {
      await browser.close()
      hangUp()
    }
    const more = found.length === 0 ? '' : `: ${found.join('; ')}`
    return {
      passed: found.length === 0 && hostileStrings.length >= 200,
      reached: `${found.length} of ${hostileStrings.length} strings on ${pages.length} pages${more}`,
    }
  },
}

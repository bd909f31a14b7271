import { createHmac } from 'node:crypto'
import { join } from 'node:path'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { builtIns } from '../repository.ts'
import { accessibilityProblems } from './axe.ts'
import { browserProblem, logIn, startBrowser, visit } from './browser.ts'
import { hangUp, updatesFacts, wireHost } from './wire-hosts.ts'

const problem = browserProblem()
if (problem !== undefined) console.warn(`Skipped: old agents in the dashboard. ${problem}`)

const secret = 'the psk of the first FleetUpdate'

describe.skipIf(problem !== undefined)('an agent of the first FleetUpdate', () => {
  let fleet: TestFleet
  let browser: Browser

  beforeAll(async () => {
    fleet = await startTestFleet({ ...builtIns, agents: [] })
    browser = await startBrowser()
    const { client } = fleet
    await client.request('POST', '/api/admin/plugins/legacy-agents/enable')
    await client.request('PUT', '/api/plugins/legacy-agents/secret', { secret })
    ;(await wireHost(fleet, 'web-01')).tell('os-updates', updatesFacts([]))
    const body = JSON.stringify({
      ...{ agent_id: 'old-01', apps: [], logs: [], agent_version: '1.4.2' },
      os_update: {
        ...{ pkg_manager: 'apt', status: 'ok', sudo_apt_ok: true, upgrades: [] },
        ...{ os_version: 'Debian GNU/Linux 11', arch: 'x86_64', kernel: '5.10.0-33-amd64' },
        ...{ hostname: 'old-01', uptime_seconds: 4711 },
      },
    })
    const headers = {
      'content-type': 'application/json',
      'x-agent-id': 'old-01',
      'x-signature': createHmac('sha256', secret).update(body).digest('hex'),
    }
    expect((await fetch(`${fleet.url}/api/heartbeat`, { method: 'POST', headers, body })).status).toBe(200)
    await client.until(
      'its mark',
      async () => (await client.agent('old-01'))?.facets['legacy-agents.weak'] === true,
    )
  })
  afterAll(async () => {
    await browser?.close()
    hangUp()
    await fleet?.stop()
  })

  test.each([
    {
      name: 'light, English',
      locale: 'en-GB',
      colorScheme: 'light',
      words: ['Weak', 'To replace it: reset its identity'],
    },
    {
      name: 'dark, French',
      locale: 'fr-FR',
      colorScheme: 'dark',
      words: ['Faible', 'Pour le remplacer : réinitialisez'],
    },
  ] as const)('is marked as weak, in the list and on its page: $name', async ({ name, words, ...look }) => {
    const { page, troubles, close } = await visit(browser, fleet, look)
    const picture = async (of: string): Promise<void> => {
      await page.waitForLoadState('networkidle')
      if (process.env.SCREENSHOTS)
        await page.screenshot({ path: join(process.env.SCREENSHOTS, `old agent, ${of} (${name}).png`) })
      expect(await accessibilityProblems(page)).toEqual([])
    }
    await logIn(page)
    const row = (id: string) => page.getByRole('row', { name: id })
    await row('old-01').getByText(words[0], { exact: true }).waitFor()
    expect(await row('web-01').getByText(words[0], { exact: true }).count()).toBe(0)
    await picture('list')
    await page.locator('.tile', { has: page.locator('text=/Weakly protected|Faiblement protégés/') }).click()
    await page.waitForFunction(() => document.querySelectorAll('.body [role=row]').length === 1)
    await page.goto(`${fleet.url}/agents/old-01`)
    await page.getByText(words[1]).waitFor()
    await picture('page')
    await page.goto(`${fleet.url}/agents/web-01`)
    await page.getByRole('heading', { name: 'web-01' }).waitFor()
    await page.waitForLoadState('networkidle')
    expect(await page.getByText(words[1]).count()).toBe(0)
    expect(troubles).toEqual([])
    await close()
  })

  test('is let in by a secret that an admin sets, and forgets with the last one', async () => {
    const { page, troubles, close } = await visit(browser, fleet)
    await logIn(page)
    await page.goto(`${fleet.url}/panels/legacy-agents`)
    await page.getByText('1 old agent', { exact: true }).waitFor()
    await page.getByText('Known', { exact: true }).waitFor()
    await page.getByRole('link', { name: 'old-01' }).waitFor()
    await page.waitForLoadState('networkidle')
    if (process.env.SCREENSHOTS)
      await page.screenshot({ path: join(process.env.SCREENSHOTS, 'old agents, page of the plugin.png') })
    expect(await accessibilityProblems(page)).toEqual([])
    await page.getByRole('button', { name: 'Forget it' }).click()
    await page.getByText('Not known yet').waitFor()
    await page.getByLabel('Secret', { exact: true }).fill('another secret')
    await page.getByRole('button', { name: 'Keep it' }).click()
    await page.getByText('Known', { exact: true }).waitFor()
    expect(await page.getByLabel('Secret', { exact: true }).inputValue()).toBe('')
    expect(await page.content()).not.toContain('another secret')
    expect(troubles).toEqual([])
    await close()
  })
})

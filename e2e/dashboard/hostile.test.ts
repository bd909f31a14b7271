import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { builtIns } from '../repository.ts'
import { browserProblem, logIn, startBrowser, visit } from './browser.ts'
import { hostileStrings } from './hostile-strings.ts'
import { hangUp, wireHost } from './wire-hosts.ts'

const problem = browserProblem()
if (problem !== undefined) console.warn(`Skipped: hostile strings in the dashboard. ${problem}`)

describe.skipIf(problem !== undefined)('what an agent sends', () => {
  let fleet: TestFleet
  let browser: Browser
  let commandId = ''

  beforeAll(async () => {
    fleet = await startTestFleet({ ...builtIns, agents: [] })
    browser = await startBrowser()
    const host = await wireHost(fleet, 'evil-01', async ({ offer, write, progress }) => {
      for (const text of hostileStrings) write(`${text}\n`)
      progress(50, hostileStrings[0] ?? '')
      const packages = hostileStrings.map((text) => ({
        name: text.slice(0, 200),
        from: text.slice(0, 200),
        to: text.slice(0, 200),
      }))
      return {
        state: offer.command === 'plan' ? 'succeeded' : 'failed',
        reason: hostileStrings.join(' ').slice(0, 1500),
        result: { packages, planHash: 'h' },
      }
    })
    const text = (i: number): string => (hostileStrings[i % hostileStrings.length] ?? '').slice(0, 200)
    host.tell('os-updates', {
      updates: {
        manager: text(0).slice(0, 32),
        refreshedAt: new Date().toISOString(),
        problem: text(1),
        pending: hostileStrings.map((_, i) => ({
          name: text(i),
          current: text(i + 1),
          candidate: text(i + 2),
          origin: text(i + 3),
          security: true,
          held: true,
          phased: true,
        })),
      },
      system: {
        os: text(2),
        kernel: text(3),
        arch: text(4).slice(0, 64),
        hostname: text(5),
        bootedAt: '2026-01-01T00:00:00.000Z',
        rebootRequired: true,
      },
    })
    host.tell('sudo-check', {
      privileges: hostileStrings.map((_, i) => ({
        id: text(i).slice(0, 64),
        plugin: text(i + 1).slice(0, 64),
        ok: false,
        missing: text(i + 2),
      })),
    })
    host.tell('metrics', { sample: { cpu: text(0), not: ['what', 'it', 'should be'] } })
    const { client } = fleet
    await client.until('facts', async () => (await client.agent('evil-01'))?.facts['sudo-check'])
    commandId = (
      await client.finished((await client.submit('evil-01', 'apt-upgrade.plan', { mode: 'all' })).id)
    ).id
    await client.finished((await client.submit('evil-01', 'os-updates.refresh')).id)
  })
  afterAll(async () => {
    await browser?.close()
    hangUp()
    await fleet?.stop()
  })

  test(`is shown as text and never acts: ${hostileStrings.length} strings in every field`, async () => {
    const { page, troubles, strangers, close } = await visit(browser, fleet)
    await page.addInitScript(() => {
      const acted = (): void => {
        Reflect.set(globalThis, 'hostileActed', true)
      }
      for (const name of ['alert', 'confirm', 'prompt', 'print']) Reflect.set(globalThis, name, acted)
    })
    await logIn(page)
    for (const path of [
      '/',
      '/agents/evil-01',
      '/agents/evil-01/metrics',
      '/agents/evil-01/history',
      '/commands',
      `/commands/${commandId}`,
      '/panels/apt-upgrade?agents=evil-01',
    ]) {
      await page.goto(fleet.url + path)
      await page.waitForSelector('h1')
      await page.waitForLoadState('networkidle')
      expect(await page.evaluate(() => Reflect.get(globalThis, 'hostileActed')), path).toBeUndefined()
      const planted = await page.evaluate(
        () =>
          document.querySelectorAll(
            'main script, main iframe, main object, main embed, main img, main base, main meta, main form[action], main a[href^="javascript:"], main [onerror], main [onload], main [onclick]',
          ).length,
      )
      expect(planted, path).toBe(0)
    }
    await page.goto(`${fleet.url}/agents/evil-01`)
    await page.waitForSelector('text=<script>alert(1)</script>')
    await page.goto(`${fleet.url}/commands/${commandId}`)
    await page.waitForSelector('.xterm-rows')
    await page.waitForFunction(() => (document.querySelector('.xterm-rows')?.textContent ?? '').length > 200)
    expect(await page.title()).not.toContain('title from the output')
    expect(await page.locator('.xterm-rows a').count()).toBe(0)
    expect(troubles).toEqual([])
    expect(strangers).toEqual([])
    await close()
  })
})

import { logIn } from '@fleetupdate/e2e/dashboard/browser.ts'
import type { Page } from 'playwright-core'
import { watchLongTasks, worstOf } from '../load/long-tasks.ts'
import { password } from '../load/server.ts'
import { drawn, withVisitor } from '../load/visitor.ts'
import type { Measure } from '../stage.ts'
import { milliseconds } from '../table.ts'

const rows = 1000
const burst = { perSecond: 1000, seconds: 5, pending: 23 }
/** Bytes that a page of scripts may take, compressed. */
const scriptBytes = 200_000

/** The fleet page of a large fleet in a real browser: what it loads, how soon the list is there, and whether anything makes it stand still. */
export const dashboard: Measure = {
  name: 'dashboard',
  async measure(stage) {
    const server = await stage.server()
    const sims = await stage.sims()
    await sims.connect(stage.agents)
    await sims.tell()
    const ids = await sims.enrol(stage.agents)
    const seen = await withVisitor(server, async (page) => {
      const tasks = await watchLongTasks(page)
      await tasks.step('open')
      const began = performance.now()
      await logIn(page, password)
      await page.waitForSelector('.body [role=row]')
      const openMs = performance.now() - began
      const loaded = await loadedScripts(page)
      await tasks.step('filter')
      await page.click('.tile:has-text("Have updates")')
      await shows(page, ids[1])
      await page.waitForSelector(`.body .row:has-text("${ids[0]}")`, { state: 'detached' })
      await page.click('.tile:has-text("All")')
      await tasks.step('search')
      await search(page, ids.at(-1) ?? '')
      await page.waitForFunction(() => document.querySelectorAll('.body [role=row]').length === 1)
      await shows(page, ids.at(-1))
      // From here on the simulated ones alone: their names are known.
      await search(page, 'sim-')
      await shows(page, ids[0])
      await tasks.step('scroll')
      await wheelTo(page, Math.min(ids.length, rows))
      await tasks.step('leap')
      for (const part of [0.5, 0.1, 0.9, 0.3, 0.7, 0]) await leapTo(page, part)
      await shows(page, ids[0])
      await tasks.step('updates')
      const [told] = await Promise.all([sims.churn(burst), wheelTo(page, Math.min(ids.length, rows / 5))])
      await leapTo(page, 0)
      await page.waitForSelector(`.body .row:has-text("${ids[0]}"):has-text("${burst.pending} updates")`)
      return { openMs, loaded, told, worst: worstOf(await tasks.read()) }
    })
    if (!seen) return []
    const { openMs, loaded, told, worst } = seen
    const agents = stage.agents.toLocaleString('en-US')
    return [
      {
        name: 'dashboard, scripts of the first load as sent',
        reached: `${(loaded / 1000).toFixed(0)} kB`,
        bar: '≤ 200 kB',
        ok: loaded <= scriptBytes,
      },
      {
        name: `dashboard, login to list, ${agents} agents`,
        reached: milliseconds(openMs),
        bar: '≤ 1 s',
        ok: openMs <= 1000,
      },
      {
        name: `dashboard, longest task, ${agents} agents, ${(told / burst.seconds).toLocaleString('en-US')} updates/s`,
        reached: `${worst.ms} ms (${worst.text})`,
        bar: '≤ 100 ms',
        ok: worst.ms <= 100,
      },
    ]
  },
}

async function shows(page: Page, id = ''): Promise<void> {
  await page.waitForSelector(`.body .row:has-text("${id}")`)
}

async function search(page: Page, text: string): Promise<void> {
  await page.keyboard.press('/')
  await page.fill('input[type=search]', '')
  await page.keyboard.type(text)
}

/** Turns the wheel as a person in a hurry does, frame by frame, until so many rows have gone by. */
async function wheelTo(page: Page, row: number): Promise<void> {
  await page.mouse.move(800, 600)
  const last = page.locator('.body [role=row]').last()
  for (;;) {
    await page.mouse.wheel(0, 700)
    await drawn(page)
    if (Number(await last.getAttribute('aria-rowindex')) > row) return
  }
}

async function leapTo(page: Page, part: number): Promise<void> {
  await page.evaluate((part) => window.scrollTo(0, part * document.body.scrollHeight), part)
  await drawn(page)
}

/** Bytes of script that the page has had so far, as they were sent. */
function loadedScripts(page: Page): Promise<number> {
  return page.evaluate(() =>
    performance
      .getEntriesByType('resource')
      .filter(({ name }) => new URL(name).pathname.endsWith('.js'))
      .reduce((sum, entry) => sum + (entry as PerformanceResourceTiming).encodedBodySize, 0),
  )
}

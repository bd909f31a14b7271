import type { TestFleet } from '@fleetupdate/sdk/testing'
import type { Page } from 'playwright-core'
import { hostileStrings } from './hostile-strings.ts'
import { wireHost } from './wire-hosts.ts'

/** Lets an agent fill every field it can fill with hostile strings; resolves with a command whose output and result are full of them. */
export async function startHostileHost(fleet: TestFleet, id: string): Promise<string> {
  const host = await wireHost(fleet, id, async ({ offer, write, progress }) => {
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
  await client.until('facts', async () => (await client.agent(id))?.facts['sudo-check'])
  const planned = await client.submit(id, 'apt-upgrade.plan', { mode: 'all' })
  const command = await client.finished(planned.id)
  await client.finished((await client.submit(id, 'os-updates.refresh')).id)
  return command.id
}

/** Every page that shows what that agent sent. */
export function hostilePages(id: string, commandId: string): readonly string[] {
  return [
    '/',
    `/agents/${id}`,
    `/agents/${id}/metrics`,
    `/agents/${id}/history`,
    '/commands',
    `/commands/${commandId}`,
    `/panels/apt-upgrade?agents=${id}`,
  ]
}

/** From now on each page notes where a string acted: call it before the first page is opened. */
export async function watchForActs(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const acted = (): void => {
      Reflect.set(globalThis, 'hostileActed', true)
    }
    for (const name of ['alert', 'confirm', 'prompt', 'print']) Reflect.set(globalThis, name, acted)
  })
}

/** How many strings acted on the page that is open, or became elements that could. */
export async function actsOn(page: Page): Promise<number> {
  return page.evaluate(() => {
    const planted = document.querySelectorAll(
      'main script, main iframe, main object, main embed, main img, main base, main meta, main form[action], main a[href^="javascript:"], main [onerror], main [onload], main [onclick]',
    ).length
    return planted + (Reflect.get(globalThis, 'hostileActed') === undefined ? 0 : 1)
  })
}

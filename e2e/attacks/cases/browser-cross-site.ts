import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'
import { browserProblem, startBrowser } from '../../dashboard/browser.ts'
import type { Attack } from '../attack.ts'

/**
 * A person is logged in, and opens a page of an attacker in the same browser: from another port of the same host (the same site, so that even a
 * SameSite=Strict cookie comes along) and from another site.
 */
export const browserCrossSiteAttack: Attack = {
  name: 'cross-site-browser',
  title: "an attacker's page in a real browser of somebody who is logged in: forms, fetch, sockets, frames",
  required: '0 accepted, 0 read',
  async run({ url, admin }) {
    const problem = browserProblem()
    if (problem !== undefined) return { passed: true, reached: `skipped: ${problem}` }
    const evil = createServer((_request, response) => {
      response.setHeader('content-type', 'text/html')
      response.end('<!doctype html><title>evil</title><body>')
    })
    await new Promise<void>((resolve) => evil.listen(0, '0.0.0.0', resolve))
    const { port } = evil.address() as AddressInfo
    const browser = await startBrowser()
    const found: string[] = []
    let tries = 0
    const count = async (): Promise<number> =>
      (await admin.request<{ items: unknown[] }>('GET', '/api/tokens')).body.items.length
    try {
      for (const origin of [`http://127.0.0.1:${port}`, `http://localhost:${port}`]) {
        const context = await browser.newContext()
        const { hostname } = new URL(url)
        const session = { name: 'fleet_session', value: admin.token, domain: hostname, path: '/' }
        await context.addCookies([{ ...session, httpOnly: true, sameSite: 'Strict' }])
        const own = await context.newPage()
        const control = await own.goto(`${url}/api/auth/me`)
        if (control?.status() !== 200) throw new Error('The cookie of the victim does not log in.')
        const before = await count()
        for (const [name, attack] of Object.entries(attacks)) {
          tries++
          const page = await context.newPage()
          await page.goto(`${origin}/`)
          const got = await attack(page, url).catch(() => undefined)
          if (got !== undefined) found.push(`${name} from ${origin}: ${got}`)
          await page.close()
        }
        const made = (await count()) - before
        if (made > 0) found.push(`${made} tokens were made from ${origin}`)
        await context.close()
      }
    } finally {
      await browser.close()
      evil.close()
    }
    const more = found.length === 0 ? '' : `: ${found.slice(0, 5).join('; ')}`
    return { passed: found.length === 0, reached: `${found.length} of ${tries} ways got through${more}` }
  },
}

/** What came of it; undefined: nothing. Whether a token was made is counted at the end. */
const attacks: Readonly<Record<string, (page: Page, url: string) => Promise<string | undefined>>> = {
  'a form': (page, url) => submit(page, url, 'application/x-www-form-urlencoded'),
  'a form of text that is JSON': (page, url) => submit(page, url, 'text/plain'),
  'a form with parts': (page, url) => submit(page, url, 'multipart/form-data'),
  'fetch without CORS': (page, url) =>
    page.evaluate(async (target) => {
      const body = JSON.stringify({ name: 'x', role: 'viewer', days: 1 })
      await fetch(`${target}/api/tokens`, { method: 'POST', mode: 'no-cors', credentials: 'include', body })
      return undefined
    }, url),
  'fetch of JSON': (page, url) =>
    page.evaluate(async (target) => {
      const body = JSON.stringify({ name: 'x', role: 'viewer', days: 1 })
      const headers = { 'content-type': 'application/json' }
      const answer = await fetch(`${target}/api/tokens`, {
        method: 'POST',
        credentials: 'include',
        headers,
        body,
      })
      return `read ${answer.status}`
    }, url),
  'reading by fetch': (page, url) =>
    page.evaluate(async (target) => {
      const answer = await fetch(`${target}/api/users`, { credentials: 'include' })
      return `read ${(await answer.text()).slice(0, 20)}`
    }, url),
  'reading as a script': (page, url) =>
    page.evaluate(
      (target) =>
        new Promise<string | undefined>((resolve) => {
          const script = document.createElement('script')
          script.src = `${target}/api/users`
          script.onload = () => resolve('it was loaded as a script')
          script.onerror = () => resolve(undefined)
          document.body.append(script)
        }),
      url,
    ),
  'the live socket': (page, url) =>
    page.evaluate(
      (target) =>
        new Promise<string | undefined>((resolve) => {
          const socket = new WebSocket(`${target.replace(/^http/, 'ws')}/api/ws`)
          socket.onopen = () => resolve('it opened')
          socket.onerror = () => resolve(undefined)
        }),
      url,
    ),
  "the agents' socket": (page, url) =>
    page.evaluate(
      (target) =>
        new Promise<string | undefined>((resolve) => {
          const socket = new WebSocket(`${target.replace(/^http/, 'ws')}/api/agent/connect`)
          socket.onopen = () => resolve('it opened')
          socket.onerror = () => resolve(undefined)
        }),
      url,
    ),
  'the dashboard in a frame': async (page, url) => {
    await page.evaluate((target) => {
      const frame = document.createElement('iframe')
      frame.src = target
      document.body.append(frame)
    }, url)
    await page.waitForLoadState('networkidle')
    const framed = page.frames().find((frame) => frame !== page.mainFrame() && frame.url().startsWith(url))
    const text = await framed?.evaluate(() => document.querySelector('#app, form')?.tagName)
    return text === undefined || text === null ? undefined : 'it was shown in a frame'
  },
  'a window that it holds on to': (page, url) =>
    page.evaluate(
      (target) =>
        new Promise<string | undefined>((resolve) => {
          const other = window.open(target)
          setTimeout(() => {
            try {
              resolve(other?.document?.title === undefined ? undefined : 'its page could be read')
            } catch {
              resolve(undefined)
            }
          }, 1_500)
        }),
      url,
    ),
}

async function submit(page: Page, url: string, encoding: string): Promise<undefined> {
  await page.evaluate(
    ({ target, type }) => {
      const form = document.createElement('form')
      form.method = 'POST'
      form.action = `${target}/api/tokens`
      form.enctype = type
      const field = document.createElement('input')
      field.name = type === 'text/plain' ? '{"name":"x","role":"viewer","days":1,"y":"' : 'name'
      field.value = type === 'text/plain' ? '"}' : 'x'
      form.append(field)
      document.body.append(form)
      form.submit()
    },
    { target: url, type: encoding },
  )
  await page.waitForURL(`${url}/**`)
  return undefined
}

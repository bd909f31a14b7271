import { once } from 'node:events'
import { WebSocket } from 'ws'
import type { Attack } from '../attack.ts'

const foreign: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'another origin': { origin: 'https://evil.example' },
  'the null origin': { origin: 'null' },
  'an origin that looks alike': { origin: 'http://127.0.0.1.evil.example' },
  'another port': { origin: 'http://127.0.0.1:1' },
  'another site': { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' },
  'a sibling site': { 'sec-fetch-site': 'same-site', origin: 'https://evil.example' },
}
const bodies: Readonly<Record<string, string>> = {
  'text/plain': '{"name":"x","role":"viewer","days":1}',
  'application/x-www-form-urlencoded': 'name=x&role=viewer&days=1',
  'multipart/form-data; boundary=x': '--x--',
}

/** What a page of another site can make the browser of somebody do who is logged in: his cookie comes along. */
export const crossSiteAttack: Attack = {
  name: 'cross-site',
  title: "unsafe requests and live sockets from another site's page, with the cookie",
  required: '0 accepted',
  async run({ url, admin }) {
    const cookie = `fleet_session=${admin.token}`
    const path = `${url}/api/tokens`
    const json = { 'content-type': 'application/json' }
    const accepted: string[] = []
    let tries = 0
    const own = { cookie, origin: url, 'sec-fetch-site': 'same-origin', ...json }
    const honest = await fetch(path, { method: 'POST', headers: own, body: bodies['text/plain'] ?? '' })
    if (honest.status !== 201) throw new Error(`The own page's request was answered ${honest.status}.`)
    for (const [name, headers] of Object.entries(foreign)) {
      for (const [type, body] of [
        ...Object.entries(bodies),
        ['application/json', bodies['text/plain'] ?? ''],
      ]) {
        tries++
        const sent = { cookie, ...headers, 'content-type': type ?? '' }
        const { status } = await fetch(path, { method: 'POST', headers: sent, body: body ?? '' })
        if (status < 400 || status >= 500) accepted.push(`${name} with ${type}: ${status}`)
      }
      tries++
      const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/api/ws`, {
        headers: { cookie, ...headers },
      })
      const isOpen = await once(socket, 'open').then(
        () => true,
        () => false,
      )
      if (isOpen) accepted.push(`a live socket from ${name}`)
      socket.on('error', () => undefined)
      socket.terminate()
    }
    const more = accepted.length === 0 ? '' : `: ${accepted.slice(0, 5).join('; ')}`
    return { passed: accepted.length === 0, reached: `${accepted.length} of ${tries} accepted${more}` }
  },
}

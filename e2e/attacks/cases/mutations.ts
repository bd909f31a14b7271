import { once } from 'node:events'
import { sealFrame } from '@fleetupdate/sdk/protocol'
import type { Attack } from '../attack.ts'
import { type Captured, hello, openLine, send, sign } from '../hostile-agent.ts'

/** Rightly signed requests with one thing changed afterwards. */
export const mutationsAttack: Attack = {
  name: 'mutations',
  title: 'signed requests with one change each',
  required: '0 accepted, 0 answers of 5xx',
  async run(target, size) {
    const { url } = target
    const agent = await target.enrol('mutated-agent')
    const count = size === 'full' ? 100_000 : 600
    const body = JSON.stringify({ boot: '', wait: 0, frames: [] })
    // Unchanged it is answered 409 with the name of the server, signed: that is how acceptance looks here.
    const honest = await send(url, sign(agent, url, { method: 'POST', path: '/api/agent/poll', body }))
    if (honest.status !== 409) throw new Error(`The honest request was answered ${honest.status}.`)
    const random = numbers(1)
    const wrong: string[] = []
    const work = async (share: number): Promise<void> => {
      for (let i = 0; i < share; i++) {
        const original = sign(agent, url, { method: 'POST', path: '/api/agent/poll', body })
        const { changed, how } = mutate(original, random)
        const { status } = await send(url, changed)
        const isRefused = status >= 400 && status < 500 && status !== 409
        if (!isRefused) wrong.push(`${status} after ${how}`)
      }
    }
    const lanes = 8
    await Promise.all(Array.from({ length: lanes }, () => work(Math.ceil(count / lanes))))
    const more = wrong.length === 0 ? '' : `: ${[...new Set(wrong)].slice(0, 5).join('; ')}`
    return { passed: wrong.length === 0, reached: `${wrong.length} of ${count}${more}` }
  },
}

/** Frames of a live session with one character changed. */
export const framesAttack: Attack = {
  name: 'frames',
  title: 'frames of a session with one character changed',
  required: '0 accepted: each ends the session',
  async run(target, size) {
    const { url } = target
    const agent = await target.enrol('framed-agent')
    const count = size === 'full' ? 2_000 : 40
    const random = numbers(2)
    let accepted = 0
    for (let i = 0; i < count; i++) {
      const { socket, keys } = await openLine(agent, url)
      socket.send(sealFrame(keys, 'a2s', 1, JSON.stringify(hello)))
      let acked = false
      socket.on('message', (data) => {
        if (!String(data).includes('"ack"')) return
        acked = true
        socket.terminate()
      })
      const observedAt = new Date().toISOString()
      const item = { plugin: 'none', fact: 'f', value: 1, observedAt, revision: i + 1 }
      const frame = sealFrame(keys, 'a2s', 2, JSON.stringify({ type: 'facts', items: [item] }))
      socket.send(flip(frame, random))
      const [code] = await once(socket, 'close')
      if (acked || (code !== 4401 && code !== 4400)) accepted++
    }
    return { passed: accepted === 0, reached: `${accepted} of ${count} accepted` }
  },
}

type Random = (below: number) => number

function mutate(original: Captured, random: Random): { changed: Captured; how: string } {
  const names = ['signature', 'signature-input', 'content-digest', 'content-type', 'host'] as const
  const name = names[random(names.length)] ?? 'signature'
  const value = original.headers[name] ?? ''
  const header = (text: string): Captured => ({ ...original, headers: { ...original.headers, [name]: text } })
  switch (random(9)) {
    case 0:
      return { changed: { ...original, body: flip(original.body, random) }, how: 'a changed body' }
    case 1:
      return { changed: { ...original, body: `${original.body} ` }, how: 'a longer body' }
    case 2:
      return { changed: { ...original, path: `${original.path}?x=1` }, how: 'a query' }
    case 3:
      return {
        changed: { ...original, path: original.path.replace('poll', '%70oll') },
        how: 'another spelling of the path',
      }
    case 4: {
      const { [name]: _dropped, ...headers } = original.headers
      return { changed: { ...original, headers }, how: `no ${name}` }
    }
    case 5:
      return { changed: header(value.slice(0, random(value.length))), how: `a shorter ${name}` }
    case 6:
      return { changed: header(`${value}${value}`), how: `a doubled ${name}` }
    default:
      return { changed: header(flip(value, random)), how: `a changed ${name}` }
  }
}

/** One character becomes another visible one. */
function flip(text: string, random: Random): string {
  const at = random(text.length)
  const code = text.charCodeAt(at)
  const other = String.fromCharCode(33 + ((code - 33 + 1 + random(92)) % 94))
  return `${text.slice(0, at)}${other === text[at] ? '~' : other}${text.slice(at + 1)}`
}

/** The same numbers in every run (mulberry32). */
function numbers(seed: number): Random {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

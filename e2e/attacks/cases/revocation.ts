import { once } from 'node:events'
import { sealFrame } from '@fleetupdate/sdk/protocol'
import { logIn } from '@fleetupdate/sdk/testing'
import { WebSocket } from 'ws'
import type { Attack } from '../attack.ts'
import { enrol, greet, hello, openLine, poll, send, sign } from '../hostile-agent.ts'

/** Whoever is thrown out, while a channel of every kind is open. */
export const revocationAttack: Attack = {
  name: 'revocation',
  title: 'channels of agents and people that are thrown out while they are open; ids taken again',
  required: 'every channel closed within 5 s, 0 ids enrolled again',
  async run(target) {
    const { url, admin } = target
    const found: string[] = []
    let slowestMs = 0
    const within = async (name: string, closed: Promise<unknown>): Promise<void> => {
      const began = performance.now()
      const late = new Promise<'late'>((resolve) => setTimeout(resolve, 5_000, 'late'))
      if ((await Promise.race([closed, late])) === 'late') found.push(`${name} is still open after 5 s`)
      slowestMs = Math.max(slowestMs, performance.now() - began)
    }
    // An agent over WebSocket.
    const socketAgent = await target.enrol('thrown-out-socket')
    const { socket, keys } = await openLine(socketAgent, url)
    socket.send(sealFrame(keys, 'a2s', 1, JSON.stringify(hello)))
    socket.send(sealFrame(keys, 'a2s', 2, JSON.stringify({ type: 'ping' })))
    await once(socket, 'message')
    const socketClosed = once(socket, 'close')
    await admin.request('DELETE', '/api/agents/thrown-out-socket')
    await within('the socket of an agent', socketClosed)
    // An agent whose poll waits for frames.
    const pollAgent = await target.enrol('thrown-out-poll')
    const session = await greet(pollAgent, url)
    const { captured } = await poll(pollAgent, url, [], session)
    const { boot } = JSON.parse(captured.body)
    const body = JSON.stringify({ boot, wait: 25, session, frames: [] })
    const waiting = send(url, sign(pollAgent, url, { method: 'POST', path: '/api/agent/poll', body }))
    await poll(pollAgent, url, [{ type: 'ping' }], session)
    await admin.request('POST', '/api/agents/thrown-out-poll/reset', {})
    await within('the poll of an agent', waiting)
    // The live socket of a person whose session ends, and of one who is removed.
    for (const end of ['logout', 'removal'] as const) {
      const name = `leaving-${end}`
      const password = 'leaves within five seconds'
      const made = await admin.request<{ id: string }>('POST', '/api/users', {
        name,
        role: 'viewer',
        password,
      })
      const person = await logIn(url, name, password)
      const live = new WebSocket(`${url.replace(/^http/, 'ws')}/api/ws`, {
        headers: { authorization: `Bearer ${person.token}` },
      })
      await once(live, 'open')
      const closed = once(live, 'close')
      if (end === 'logout') await person.request('POST', '/api/auth/logout', {})
      else await admin.request('DELETE', `/api/users/${made.body.id}`)
      await within(`the live socket after ${end}`, closed)
      const { status } = await fetch(`${url}/api/auth/me`, {
        headers: { authorization: `Bearer ${person.token}` },
      })
      if (status !== 401) found.push(`the session is answered ${status} after ${end}`)
    }
    const psk = { id: 'psk', text: String(target.secrets.get('SERVER_PSK')) }
    for (const id of ['thrown-out-socket', 'thrown-out-poll'])
      if (await enrol(url, id, psk).catch(() => undefined)) found.push(`${id} could enrol again`)
    const more = found.length === 0 ? '' : `: ${found.join('; ')}`
    return {
      passed: found.length === 0,
      reached: `${found.length} left open or taken again, the slowest closed after ${(slowestMs / 1000).toFixed(1)} s${more}`,
    }
  },
}

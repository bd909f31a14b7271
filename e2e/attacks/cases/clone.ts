import { once } from 'node:events'
import { openFrame, sealFrame } from '@fleetupdate/sdk/protocol'
import type { Attack } from '../attack.ts'
import { hello, type Identity, type Line, openLine } from '../hostile-agent.ts'

/** The state of an agent on a second machine, both connected in turn, as two agents do that lose their session to each other. */
export const cloneAttack: Attack = {
  name: 'clone',
  title: 'a stolen copy of an agent beside the agent itself',
  required: 'in quarantine within 60 s, 0 sessions after that',
  async run(target, size) {
    const { url, admin } = target
    const rounds = size === 'full' ? 20 : 3
    let slowest = 0
    const found: string[] = []
    for (let round = 0; round < rounds; round++) {
      const id = `cloned-${round}`
      const identity = await target.enrol(id)
      let ticket = await session(identity, url, '')
      // The copy is made now; then the agent itself comes back `round` times, before the copy shows itself.
      const copied = ticket
      const began = performance.now()
      for (let i = 0; i < round % 3; i++) ticket = await session(identity, url, ticket)
      await session(identity, url, copied).catch(() => undefined)
      await session(identity, url, ticket).catch(() => undefined)
      slowest = Math.max(slowest, performance.now() - began)
      const { body } = await admin.request<{ quarantine?: object; status: string }>(
        'GET',
        `/api/agents/${id}`,
      )
      if (!body.quarantine) found.push(`${id} is not in quarantine`)
      const again = await session(identity, url, ticket).catch(() => undefined)
      if (again !== undefined || body.status !== 'offline') found.push(`${id} is still let in`)
    }
    const more = found.length === 0 ? '' : `: ${found.slice(0, 5).join('; ')}`
    return {
      passed: found.length === 0 && slowest < 60_000,
      reached: `${rounds - found.length} of ${rounds}, the slowest ${(slowest / 1000).toFixed(1)} s after the second machine${more}`,
    }
  },
}

/** One session that confirms its ticket; resolves with the new one once the server answered a ping. Rejects where it is thrown out. */
async function session(identity: Identity, url: string, ticket: string): Promise<string> {
  const line: Line = await openLine(identity, url)
  const { socket, keys } = line
  let received = 1
  let given = ''
  socket.send(sealFrame(keys, 'a2s', 1, JSON.stringify({ ...hello, ticket })))
  const ended = once(socket, 'close').then(() => Promise.reject(new Error('closed')))
  const acked = new Promise<string>((resolve) => {
    socket.on('message', (data) => {
      const frame = JSON.parse(openFrame(keys, 's2a', ++received, String(data)) ?? '{}')
      if (frame.type === 'ticket') {
        given = frame.ticket
        socket.send(sealFrame(keys, 'a2s', 2, JSON.stringify(frame)))
        const item = { plugin: 'none', fact: 'f', value: 1, observedAt: new Date().toISOString() }
        const revision = Math.floor(performance.timeOrigin + performance.now())
        const facts = { type: 'facts', items: [{ ...item, revision }] }
        socket.send(sealFrame(keys, 'a2s', 3, JSON.stringify(facts)))
      } else if (frame.type === 'ack') resolve(given)
    })
  })
  try {
    return await Promise.race([acked, ended])
  } finally {
    ended.catch(() => undefined)
    socket.terminate()
  }
}

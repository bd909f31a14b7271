import { once } from 'node:events'
import { sealFrame } from '@fleetupdate/sdk/protocol'
import type { Attack } from '../attack.ts'
import { type Captured, greet, hello, openLine, poll, send } from '../hostile-agent.ts'

/** Whatever was captured on the wire, sent again: at once, and after the server was killed. */
export const replayAttack: Attack = {
  name: 'replay',
  title: 'replay of captured requests and frames, also after a restart',
  required: '0 accepted',
  async run(target, size) {
    const { url } = target
    const agent = await target.enrol('replay-agent')
    const captured: Captured[] = []
    let accepted = 0
    let tries = 0
    let session = await greet(agent, url)
    for (let i = 0; i < (size === 'full' ? 500 : 25); i++) {
      const { captured: one, answer } = await poll(agent, url, [fact(i)], session)
      if (answer.status !== 200) throw new Error(`An honest poll was refused: ${answer.body}`)
      captured.push(one)
    }
    const again = async (): Promise<void> => {
      for (const one of captured) {
        tries++
        const { status } = await send(url, one)
        if (status < 400 || status >= 500) accepted++
      }
    }
    await again()

    const line = await openLine(agent, url)
    line.socket.send(sealFrame(line.keys, 'a2s', 1, JSON.stringify(hello)))
    const frame = sealFrame(line.keys, 'a2s', 2, JSON.stringify(fact(9000)))
    line.socket.send(frame)
    await once(line.socket, 'message')
    // The same frame in the same session, and in another one of the same agent.
    tries += 2
    line.socket.send(frame)
    if ((await closeCode(line.socket)) !== 4401) accepted++
    const other = await openLine(agent, url)
    other.socket.send(sealFrame(other.keys, 'a2s', 1, JSON.stringify(hello)))
    other.socket.send(frame)
    if ((await closeCode(other.socket)) !== 4401) accepted++
    const upgrades = [line.upgrade, other.upgrade]
    const upgradeAgain = async (): Promise<void> => {
      for (const upgrade of upgrades) {
        tries++
        const opened = await openLine(agent, url, upgrade).catch(() => undefined)
        if (opened) accepted++
        opened?.socket.terminate()
      }
    }
    await upgradeAgain()

    await target.restartServer()
    await again()
    await upgradeAgain()
    session = await greet(agent, url)
    const honest = await poll(agent, url, [fact(9001)], session)
    if (honest.answer.status !== 200) throw new Error('The agent itself is refused after the restart.')
    return { passed: accepted === 0, reached: `${accepted} of ${tries} accepted` }
  },
}

function fact(revision: number): object {
  const observedAt = new Date().toISOString()
  return {
    type: 'facts',
    items: [{ plugin: 'none', fact: 'f', value: 1, observedAt, revision: revision + 1 }],
  }
}

async function closeCode(socket: { once: unknown } & NodeJS.EventEmitter): Promise<number> {
  const [code] = await once(socket, 'close')
  return code
}

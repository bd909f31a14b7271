import { once } from 'node:events'
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'undici'
import { WebSocket } from 'ws'
import { startEntry } from '../load/child.ts'
import { LiveSocket } from '../load/live-socket.ts'
import type { Measure } from '../stage.ts'
import { milliseconds, percentile } from '../table.ts'

const simulated = 1000
const clicks = 200
/** On a busy machine fewer clicks have to do. */
const mostMs = 40_000

/**
 * From the click to the first byte of output in the browser: POST of a command for a real agent, then its output on the tab's live socket, while 1,000
 * other agents are connected. The next click waits until the former command has ended.
 */
export const click: Measure = {
  name: 'click',
  async measure(stage) {
    const server = await stage.server()
    const { id } = await stage.agent()
    await (await stage.sims()).connect(simulated)
    const live = await LiveSocket.open(server)
    const http = new Client(server.url)
    const headers = {
      authorization: `Bearer ${server.client.token}`,
      'content-type': 'application/json',
    }
    const clickOnce = async (): Promise<number> => {
      const began = performance.now()
      const { body } = await http.request({
        method: 'POST',
        path: `/api/agents/${id}/lines/print`,
        headers,
        body: '{"count":1}',
      })
      const command = await body.json()
      let first = Number.NaN
      await live.watchOutput(idOf(command), ({ text }) => {
        if (text !== undefined && Number.isNaN(first)) first = performance.now() - began
      })
      return first
    }
    try {
      for (let i = 0; i < 5; i++) await clickOnce()
      const times: number[] = []
      const until = performance.now() + mostMs
      while (times.length < clicks && performance.now() < until) times.push(await clickOnce())
      const bare = await bareClicks(stage.dir)
      const [p50, p99] = [percentile(times, 0.5), percentile(times, 0.99)]
      return [
        {
          name: 'click to first output byte, 1,000 agents',
          reached: `p50 ${milliseconds(p50)}, p99 ${milliseconds(p99)} of ${times.length}`,
          ratio: percentile(bare, 0.5) / p50,
          bar: 'p50 ≤ 10 ms, p99 ≤ 50 ms',
          ok: p50 <= 10 && p99 <= 50,
        },
      ]
    } finally {
      live.close()
      await http.close()
    }
  },
}

function idOf(command: unknown): string {
  if (typeof command === 'object' && command !== null && 'id' in command) return String(command.id)
  throw new Error(`The command was not accepted: ${JSON.stringify(command)}`)
}

/**
 * The same way with bare parts: POST, one durable row, ws to an agent, a synced line in its file, ws back, another durable row, ws to the
 * viewer. Milliseconds of each.
 */
async function bareClicks(dir: string): Promise<readonly number[]> {
  const ceiling = await startEntry('ceiling-fleet')
  const address = `127.0.0.1:${ceiling.port}`
  const [agent, viewer] = [new WebSocket(`ws://${address}/agent`), new WebSocket(`ws://${address}/view`)]
  const file = openSync(join(dir, 'ceiling-click.log'), 'a')
  const http = new Client(`http://${address}`)
  agent.on('message', () => {
    writeSync(file, '$ program\n')
    fsyncSync(file)
    agent.send('$ program')
  })
  try {
    await Promise.all([once(agent, 'open'), once(viewer, 'open')])
    const times: number[] = []
    for (let i = 0; i < clicks; i++) {
      const began = performance.now()
      const seen = once(viewer, 'message')
      const { body } = await http.request({ method: 'POST', path: '/click' })
      await body.dump()
      await seen
      times.push(performance.now() - began)
    }
    return times
  } finally {
    agent.terminate()
    viewer.terminate()
    closeSync(file)
    await http.close()
    await ceiling.stop()
  }
}

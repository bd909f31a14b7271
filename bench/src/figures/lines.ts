import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { startEntry } from '../load/child.ts'
import { LiveSocket } from '../load/live-socket.ts'
import type { Server } from '../load/server.ts'
import { alternate } from '../rounds.ts'
import type { Measure } from '../stage.ts'
import { perSecond } from '../table.ts'

/** 7 MB: below what is kept of one command whole. */
const count = 250_000
const format = 'line %.0f of the benchmark'

/**
 * Lines a second from a program on a real agent to a viewer, stored on the way, against a bare pipe → ws → SQLite → ws. Counted by the
 * viewer, from the first line it sees to the last.
 */
export const lines: Measure = {
  name: 'lines',
  async measure(stage) {
    const server = await stage.server()
    const { id } = await stage.agent()
    const ceiling = await startEntry('ceiling-lines')
    const live = await LiveSocket.open(server)
    try {
      const { reached, ratio } = await alternate(
        3,
        () => printed(server, live, id),
        () => piped(ceiling.port),
      )
      return [
        {
          name: 'output lines, executor to viewer, stored',
          reached: perSecond(reached),
          ratio,
          bar: '≥ 50 % of pipe → ws → SQLite → ws',
          ok: ratio >= 0.5,
        },
      ]
    } finally {
      live.close()
      await ceiling.stop()
    }
  },
}

async function printed(server: Server, live: LiveSocket, agentId: string): Promise<number> {
  const command = await server.client.submit(agentId, 'lines.print', { count })
  const counter = createCounter()
  await live.watchOutput(command.id, ({ text = '' }) => counter.take(text))
  return counter.rate()
}

async function piped(port: number): Promise<number> {
  const url = `ws://127.0.0.1:${port}`
  const [viewer, sender] = [new WebSocket(`${url}/view`), new WebSocket(`${url}/send`)]
  await Promise.all([once(viewer, 'open'), once(sender, 'open')])
  const counter = createCounter()
  const seen = new Promise<void>((resolve, reject) => {
    viewer.on('close', () => reject(new Error('The ceiling closed its socket.')))
    viewer.on('message', (data) => {
      const { text }: { text: string } = JSON.parse(String(data))
      counter.take(text)
      if (counter.isComplete()) resolve()
    })
  })
  const seq = spawn('seq', ['-f', format, String(count)], { stdio: ['ignore', 'pipe', 'inherit'] })
  seq.stdout.setEncoding('utf8')
  seq.stdout.on('data', (text: string) => sender.send(JSON.stringify({ text })))
  await seen
  viewer.terminate()
  sender.terminate()
  return counter.rate()
}

/** Counts the lines of the benchmark from the first text that has one. */
function createCounter() {
  let began = Number.NaN
  let ended = Number.NaN
  let seen = 0
  return {
    take(text: string): void {
      if (text.startsWith('$ ') && !text.includes('line 1 ')) return
      if (Number.isNaN(began)) began = performance.now()
      for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) seen++
      ended = performance.now()
    },
    isComplete: () => seen >= count,
    rate(): number {
      if (seen < count) throw new Error(`Only ${seen} of ${count} lines arrived.`)
      return (seen * 1000) / (ended - began)
    },
  }
}

import { createHash } from 'node:crypto'
import { get } from 'node:http'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { WebSocket } from 'ws'
import type { Fault } from '../fault.ts'
import { type Rig, startRig } from '../rig.ts'
import { createServerMeter } from '../server-meter.ts'

const megabyte = 1024 * 1024

/** Many look at one command's output at once, some of them hardly reading. */
export const slowViewers: Fault = {
  name: 'slow-viewers',
  title: '200 viewers of one output, 40 of which read a byte a second',
  required: 'byte-equal for all; for slow ones the server holds at most 1 MiB each',
  sabotage: {
    what: 'the server does not wait for viewers that are slow',
    file: 'logStream',
    edits: [
      {
        find: /if \((\w+)\.signal\.aborted \|\| (\w+)\.write\((\w+)\)\) return;/,
        replace: '$2.write($3); return;',
      },
    ],
  },
  async run(lab) {
    const meter = await createServerMeter(lab)
    const rig = await startRig(lab, { env: meter.env })
    const held = async (): Promise<number> => (await meter.read(rig.fleet.server.pid)).heldMegabytes
    rig.startAgent('vm-1')
    await rig.online(['vm-1'])
    const bytes = 8 * megabyte
    const fast = lab.scale({ smoke: 20, full: 160 })
    const slow = lab.scale({ smoke: 30, full: 40 })
    const pour = async (key: string): Promise<string> =>
      (await rig.patient.submit('vm-1', 'lab.pour', { kind: 'lines', bytes }, key)).id
    // Without anybody: once so that everything is warm, once to read what the output alone costs while it passes.
    await rig.client.finished(await pour('warm'))
    const beforeNobody = await held()
    const alone = Math.max(
      0,
      (await mostWhile(held, rig.client.finished(await pour('nobody')))) - beforeNobody,
    )
    const beforeSlow = await held()
    const snailId = await pour('slow')
    const snails = Array.from({ length: slow }, () => openSnail(rig, snailId))
    lab.onEnd(() => snails.forEach(({ socket }) => void socket.destroy()))
    const slowMegabytes = (await mostWhile(held, rig.client.finished(snailId))) - beforeSlow
    const beforeFast = await held()
    const fastId = await pour('fast')
    const viewers = Array.from({ length: fast }, (_, i) =>
      i % 2 === 0 ? viewStream(rig, fastId) : viewSocket(rig, fastId),
    )
    const fastMegabytes = (await mostWhile(held, Promise.all(viewers))) - beforeFast
    const [stored, seen] = [await rig.patient.output(fastId), await Promise.all(viewers)]
    const hash = createHash('sha256').update(stored).digest('hex')
    const equal = seen.filter((one) => one === hash).length
    const snailText = await rig.patient.output(snailId)
    const right = snails.filter((snail) => snailText.startsWith(snail.text())).length
    const each = Math.max(0, slowMegabytes - alone) / slow
    const eachFast = Math.max(0, fastMegabytes - alone) / fast
    return {
      passed: equal === fast && right === slow && each <= 1 && eachFast <= 1,
      reached: `${equal} of ${fast} byte-equal, ${right} of ${slow} slow ones right as far as they read (${(stored.length / megabyte).toFixed(1)} MiB of output). Read after forced collections: the output alone took ${alone.toFixed(1)} MiB, with ${slow} slow ones ${slowMegabytes.toFixed(1)} (${each.toFixed(2)} MiB each), with ${fast} that keep up ${fastMegabytes.toFixed(1)} (${eachFast.toFixed(2)} MiB each)`,
    }
  },
}

/** How much the server held at most while something lasted, and right after it. */
async function mostWhile(held: () => Promise<number>, work: Promise<unknown>): Promise<number> {
  let highest = 0
  let isOver = false
  const over = work.finally(() => {
    isOver = true
  })
  while (!isOver) {
    highest = Math.max(highest, await held())
    // Each reading is a collection, which costs the server time.
    await pause(200)
  }
  await over
  return Math.max(highest, await held())
}

/** SSE as a program reads it; answers the hash of the text. */
function viewStream(rig: Rig, id: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${rig.client.token}` }
    get(`${rig.url}/api/commands/${id}/stream`, { headers, agent: false }, (answer) => {
      const hash = createHash('sha256')
      let event = ''
      answer.on('error', reject)
      createInterface({ input: answer }).on('line', (line) => {
        if (line.startsWith('event: ')) event = line.slice(7)
        if (!line.startsWith('data: ')) return
        if (event === 'output') hash.update(String(JSON.parse(line.slice(6)).text))
        if (event === 'end') {
          resolve(hash.digest('hex'))
          answer.destroy()
        }
      })
    }).on('error', reject)
  })
}

/** The same over the live socket of browsers. */
function viewSocket(rig: Rig, id: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${rig.client.token}` }
    const socket = new WebSocket(`${rig.url.replace('http', 'ws')}/api/ws`, { headers })
    const hash = createHash('sha256')
    socket.on('open', () => socket.send(JSON.stringify({ op: 'subscribe', topic: `output:${id}`, from: 0 })))
    socket.on('error', reject)
    socket.on('close', (code) => reject(new Error(`The live socket was closed: ${code}.`)))
    socket.on('message', (message) => {
      const { data } = JSON.parse(String(message))
      if (data?.text !== undefined) hash.update(data.text)
      if (data?.ended !== true) return
      resolve(hash.digest('hex'))
      socket.terminate()
    })
  })
}

/** A viewer that takes one byte a second; what it got up to now is read out of its socket at the end. */
function openSnail(rig: Rig, id: string): { readonly socket: Socket; text(): string } {
  const { hostname, port, host } = new URL(rig.url)
  const parts: Buffer[] = []
  const socket = connect({ port: Number(port), host: hostname })
  socket.on('error', () => undefined)
  socket.pause()
  socket.write(
    `GET /api/commands/${id}/stream HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${rig.client.token}\r\n\r\n`,
  )
  const timer = setInterval(() => {
    const byte = socket.read(1)
    if (byte) parts.push(byte)
  }, 1000)
  socket.on('close', () => clearInterval(timer))
  return {
    socket,
    text() {
      for (let part = socket.read(); part; part = socket.read()) parts.push(part)
      return textOf(Buffer.concat(parts).toString('utf8'))
    },
  }
}

/** The text of all whole output events. */
function textOf(raw: string): string {
  const events = raw.split('\n\n').slice(0, -1)
  return events
    .filter((event) => event.includes('event: output'))
    .map((event) => JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? '{"text":""}').text)
    .join('')
}

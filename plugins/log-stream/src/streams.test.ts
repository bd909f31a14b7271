import { get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { CommandView, OutputStore } from '@fleetupdate/sdk'
import { startServerPart, type TestServerPart } from '@fleetupdate/sdk/testing'
import Fastify from 'fastify'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createOutputPages } from './output-pages.ts'
import plugin from './server.ts'
import { registerStream } from './stream-route.ts'
import { createWatchedCommands } from './watched-commands.ts'

let part: TestServerPart
let url: string
let store: OutputStore
const states = new Map<string, string>()

const readCommand = async (id: string): Promise<CommandView | undefined> =>
  states.has(id) ? ({ id, state: states.get(id) } as CommandView) : undefined

beforeEach(async () => {
  states.clear()
  part = await startServerPart(plugin, { commands: { read: readCommand } as never })
  store = part.output()
  url = await part.http.listen({ port: 0, host: '127.0.0.1' })
})
afterEach(() => part.stop())

function append(commandId: string, offset: number, text: string): Promise<void> {
  const end = offset + Buffer.byteLength(text)
  return store.append([{ commandId, agentId: 'vm-01', offset, end, text, endless: false }])
}

function setState(commandId: string, state: string): void {
  states.set(commandId, state)
  part.emit('command.updated', { commandId, agentId: 'vm-01', state, finished: state === 'succeeded' })
}

interface SseEvent {
  readonly event: string
  readonly id: string | undefined
  readonly data: { offset?: number; text?: string; state?: string; end?: number }
}

/** Reads server-sent events until the stream ends, or `until` is content. */
async function readEvents(
  path: string,
  headers: Record<string, string> = {},
  until?: (events: SseEvent[]) => boolean,
): Promise<SseEvent[]> {
  const events: SseEvent[] = []
  const response = await fetch(url + path, { headers })
  expect(response.status).toBe(200)
  let rest = ''
  for await (const bytes of response.body!.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + bytes).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const fields = new Map(
        block
          .split('\n')
          .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
      )
      const event = fields.get('event')
      if (event !== undefined)
        events.push({ event, id: fields.get('id'), data: JSON.parse(fields.get('data') ?? 'null') })
    }
    if (until?.(events)) break
  }
  return events
}

const textOf = (events: readonly SseEvent[]): string =>
  events
    .filter(({ event }) => event === 'output')
    .map(({ data }) => data.text)
    .join('')

describe('the stream of a command', () => {
  test('gives everything of a finished command and ends at once', async () => {
    const text = 'zeile é €\n'.repeat(100_000)
    states.set('c1', 'running')
    for (let i = 0, offset = 0; i < text.length; i += 10_000) {
      const part = text.slice(i, i + 10_000)
      await append('c1', offset, part)
      offset += Buffer.byteLength(part)
    }
    states.set('c1', 'succeeded')
    const events = await readEvents('/api/commands/c1/stream')
    expect(textOf(events)).toBe(text)
    expect(events.at(-1)).toEqual({
      event: 'end',
      id: undefined,
      data: { state: 'succeeded', end: Buffer.byteLength(text) },
    })
    expect(events[0]).toMatchObject({ event: 'state', data: { state: 'succeeded' } })
  })

  test('shows output and states as they come, and ends after the last state', async () => {
    states.set('c1', 'started')
    const reading = readEvents('/api/commands/c1/stream', {}, (events) => {
      const last = events.at(-1)
      if (last?.event === 'state' && last.data.state === 'started') void append('c1', 0, 'one\n')
      if (last?.data.text === 'one\n') setState('c1', 'running')
      if (last?.data.state === 'running')
        void append('c1', 4, 'two\n').then(() => setState('c1', 'succeeded'))
      return false
    })
    const events = await reading
    expect(events.map(({ event, data }) => data.text ?? `${event} ${data.state}`)).toEqual([
      'state started',
      'one\n',
      'state running',
      'two\n',
      'state succeeded',
      'end succeeded',
    ])
    expect(events.find(({ data }) => data.text === 'two\n')).toEqual({
      event: 'output',
      id: '8',
      data: { offset: 4, text: 'two\n' },
    })
  })

  test('resumes after any event, byte for byte', async () => {
    states.set('c1', 'running')
    let offset = 0
    for (let i = 0; i < 50; i += 1) {
      const line = `${i} ${'ä€𝄞'.repeat(i)}\n`
      await append('c1', offset, line)
      offset += Buffer.byteLength(line)
    }
    states.set('c1', 'failed')
    const all = await readEvents('/api/commands/c1/stream')
    const output = all.filter(({ event }) => event === 'output')
    expect(output.length).toBe(50)
    for (const [index, { id }] of output.entries()) {
      const rest = await readEvents('/api/commands/c1/stream', { 'last-event-id': id ?? '' })
      expect(textOf(output.slice(0, index + 1)) + textOf(rest)).toBe(textOf(all))
      expect(rest.at(-1)?.event).toBe('end')
    }
    expect(textOf(await readEvents('/api/commands/c1/stream?from=2'))).toBe(textOf(all).slice(2))
  })

  test.each(['expired', 'rejected', 'cancelled', 'lost'])(
    'ends where no agent said so: %s',
    async (state) => {
      states.set('c1', 'queued')
      const events = await readEvents('/api/commands/c1/stream', {}, (seen) => {
        // No event tells of it: the sweep alone finds it.
        if (seen.at(-1)?.data.state === 'queued') {
          states.set('c1', state)
          void part.runScheduled()
        }
        return false
      })
      expect(events.at(-1)).toMatchObject({ event: 'end', data: { state } })
    },
  )

  test('refuses an unknown command and a bad offset', async () => {
    states.set('c1', 'running')
    const unknown = await fetch(`${url}/api/commands/none/stream`)
    expect([unknown.status, await unknown.json()]).toMatchObject([404, { code: 'FLT_COMMAND_NOT_FOUND' }])
    const bad = await fetch(`${url}/api/commands/c1/stream`, { headers: { 'last-event-id': '-1' } })
    expect([bad.status, await bad.json()]).toMatchObject([400, { code: 'FLT_OUTPUT_OFFSET' }])
  })

  test('forbids caches and buffers', async () => {
    states.set('c1', 'succeeded')
    const { headers } = await fetch(`${url}/api/commands/c1/stream`)
    expect(headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('x-accel-buffering')).toBe('no')
  })

  test('closes without an end when the server stops, so that viewers come back', async () => {
    states.set('c1', 'running')
    await append('c1', 0, 'a')
    const events = await readEvents('/api/commands/c1/stream', {}, (seen) => {
      if (seen.at(-1)?.event === 'output') part.dispose()
      return false
    })
    expect(events.at(-1)?.event).toBe('output')
  })

  test('gives 200 viewers that join at any time the same bytes', async () => {
    states.set('c1', 'running')
    let text = ''
    const viewers: Promise<SseEvent[]>[] = []
    for (let i = 0; i < 100; i += 1) {
      viewers.push(readEvents('/api/commands/c1/stream'), readEvents('/api/commands/c1/stream'))
      const part = `${i} ${'ünï'.repeat(500)}\n`
      await append('c1', Buffer.byteLength(text), part)
      text += part
    }
    setState('c1', 'succeeded')
    for (const events of await Promise.all(viewers)) {
      expect(textOf(events) === text).toBe(true)
      expect(events.at(-1)?.event).toBe('end')
    }
  })
})

describe('a slow viewer', () => {
  test('costs little memory and is cut, and can resume byte for byte', async () => {
    states.set('c1', 'running')
    // Six bytes each on the way, so that it is more than any socket takes by itself.
    const text = '\u0001'.repeat(64 * 1024)
    const size = 9 * 1024 * 1024
    for (let offset = 0; offset < size; offset += text.length) await append('c1', offset, text)
    states.set('c1', 'succeeded')
    const pages = createOutputPages(part.db)
    const commands = createWatchedCommands({ pages, readCommand, report: () => undefined })
    const http = Fastify({ forceCloseConnections: true })
    const { signal } = part.context
    registerStream(http, {
      commands,
      pages,
      signal,
      heartbeatMs: 15_000,
      stallMs: 300,
      report: () => undefined,
    })
    await http.listen({ port: 0, host: '127.0.0.1' })
    const { port } = http.server.address() as AddressInfo
    let buffered = 0
    const cut = new Promise<void>((resolve) => {
      http.server.on('request', (_, response) => {
        const { write } = response
        response.write = (...args: unknown[]) => {
          const ok = Reflect.apply(write, response, args)
          buffered = Math.max(buffered, response.writableLength)
          return ok
        }
        response.on('close', resolve)
      })
    })
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      get({ port, host: '127.0.0.1', path: '/api/commands/c1/stream' }, resolve).on('error', reject)
    })
    response.pause()
    await cut
    let taken = ''
    response.on('error', () => undefined)
    await new Promise<void>((resolve) => {
      response.setEncoding('utf8').on('data', (part: string) => (taken += part))
      response.on('close', resolve)
      response.resume()
    })
    expect(taken.includes('event: end')).toBe(false)
    expect(taken.length).toBeLessThan(6 * size)
    expect(buffered).toBeGreaterThan(0)
    expect(buffered).toBeLessThan(1024 * 1024)
    const lastId = [...taken.matchAll(/^id: (\d+)\nevent: output\ndata: .*\n\n/gm)].at(-1)?.[1] ?? '0'
    const rest = await readEvents('/api/commands/c1/stream', { 'last-event-id': lastId })
    expect(Number(lastId) + textOf(rest).length).toBe(size)
    await http.close()
  })
})

describe('the stored output as text', () => {
  test('is whole, from any offset, and saved by browsers only when asked', async () => {
    states.set('c1', 'running')
    const text = 'zeile é\n'.repeat(80_000)
    for (let i = 0, offset = 0; i < text.length; i += 20_000) {
      const part = text.slice(i, i + 20_000)
      await append('c1', offset, part)
      offset += Buffer.byteLength(part)
    }
    const response = await fetch(`${url}/api/commands/c1/output`)
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    expect(response.headers.get('content-disposition')).toBeNull()
    expect((await response.text()) === text).toBe(true)
    const rest = await fetch(`${url}/api/commands/c1/output?from=9&download=1`)
    expect(rest.headers.get('content-disposition')).toBe('attachment; filename="c1.log"')
    expect((await rest.text()) === text.slice(8)).toBe(true)
  })

  test('is empty for a command without output, and 404 for none', async () => {
    states.set('c1', 'queued')
    expect(await (await fetch(`${url}/api/commands/c1/output`)).text()).toBe('')
    expect((await fetch(`${url}/api/commands/c2/output`)).status).toBe(404)
    expect((await fetch(`${url}/api/commands/c1/output?from=x`)).status).toBe(400)
  })
})

describe('the live topic', () => {
  const open = (
    argument: string,
    from: number,
    slow: boolean,
  ): { messages: unknown[]; drains: () => number; done: Promise<void> } => {
    const messages: unknown[] = []
    let drains = 0
    const done = part.subscribe('output', {
      argument,
      from,
      subject: { name: 'anna', role: 'viewer' },
      signal: part.context.signal,
      send(data) {
        messages.push(data)
        return !slow
      },
      async drained() {
        drains += 1
        await new Promise((resolve) => setImmediate(resolve))
      },
    })
    return { messages, drains: () => drains, done }
  }

  test('goes from the store to what is new without gap or repeat, then says the end', async () => {
    states.set('c1', 'running')
    await append('c1', 0, 'old')
    await append('c1', 3, 'er')
    const fast = open('c1', 3, false)
    const slow = open('c1', 0, true)
    for (let offset = 5; offset < 1005; offset += 10) await append('c1', offset, '0123456789')
    setState('c1', 'succeeded')
    await Promise.all([fast.done, slow.done])
    expect(fast.messages[0]).toEqual({ offset: 3, end: 5, text: 'er' })
    for (const { messages, from } of [
      { messages: fast.messages, from: 3 },
      { messages: slow.messages, from: 0 },
    ]) {
      let position = from
      for (const message of messages.slice(0, -1) as { offset: number; end: number }[]) {
        expect(message.offset).toBe(position)
        position = message.end
      }
      expect(position).toBe(1005)
      expect(messages.at(-1)).toEqual({ ended: true })
    }
    expect(slow.drains()).toBe(slow.messages.length - 1)
  })

  test('says that a command does not exist', async () => {
    const { messages, done } = open('none', 0, false)
    await done
    expect(messages).toMatchObject([{ ended: true, error: { code: 'FLT_COMMAND_NOT_FOUND' } }])
  })
})

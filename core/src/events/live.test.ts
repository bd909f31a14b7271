import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { LiveSubscription } from '@fleetupdate/sdk'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { createLiveHub, type LiveHub } from './live.ts'

let hub: LiveHub
let server: Server
let url: string
const subject = { name: 'ada', role: 'viewer', userId: 'u', sessionId: 's-1' } as const

beforeEach(async () => {
  hub = createLiveHub(() => undefined)
  server = createServer().listen(0, '127.0.0.1')
  server.on('upgrade', (request, socket, head) => hub.accept(request, socket, head, subject))
  await once(server, 'listening')
  url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterEach(async () => {
  hub.dispose()
  server.close()
})

async function open(): Promise<WebSocket> {
  const socket = new WebSocket(url)
  await once(socket, 'open')
  return socket
}

const next = async (socket: WebSocket): Promise<unknown> =>
  JSON.parse(String((await once(socket, 'message'))[0]))

describe('the live socket', () => {
  test('sends what a topic says to who subscribed, with the argument and where to resume', async () => {
    hub.topic('output', ({ argument, from, send }) => void send({ argument, from }))
    const socket = await open()
    socket.send(JSON.stringify({ op: 'subscribe', topic: 'output:42', from: 7 }))
    expect(await next(socket)).toEqual({ topic: 'output:42', data: { argument: '42', from: 7 } })
  })

  test('ends a subscription when it is cancelled, replaced, or its socket closes', async () => {
    const opened: LiveSubscription[] = []
    hub.topic('agents', (subscription) => {
      opened.push(subscription)
      subscription.send(opened.length)
    })
    const socket = await open()
    for (const expected of [1, 2]) {
      socket.send(JSON.stringify({ op: 'subscribe', topic: 'agents' }))
      expect(await next(socket)).toEqual({ topic: 'agents', data: expected })
    }
    expect(opened[0]?.signal.aborted).toBe(true)
    const closed = once(opened[1]?.signal as unknown as EventTarget, 'abort')
    socket.close()
    await closed
    expect(opened[1]?.send('late')).toBe(false)
  })

  test('answers an unknown topic, and one that fails, with an error instead of silence', async () => {
    hub.topic('broken', () => {
      throw new Error('inside')
    })
    const socket = await open()
    socket.send(JSON.stringify({ op: 'subscribe', topic: 'nothing' }))
    expect(await next(socket)).toMatchObject({ topic: 'nothing', error: { code: 'FLT_LIVE_UNKNOWN' } })
    socket.send(JSON.stringify({ op: 'subscribe', topic: 'broken' }))
    expect(await next(socket)).toMatchObject({ topic: 'broken', error: { code: 'FLT_LIVE_FAILED' } })
  })

  test('closes a socket that sends nonsense, and all sockets of a session that was ended', async () => {
    const nonsense = await open()
    nonsense.send('not json')
    expect((await once(nonsense, 'close'))[0]).toBe(4400)
    const other = await open()
    hub.closeSession('s-1')
    expect((await once(other, 'close'))[0]).toBe(4403)
  })
})

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { clientFrame, frameLoad, openFrameSocket } from './frame-load.ts'

let server: WebSocketServer
let url: string
let received: string[]

beforeEach(async () => {
  received = []
  server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  server.on('connection', (socket, request) => {
    socket.on('error', () => undefined)
    socket.on('message', (data) => {
      received.push(String(data))
      if (request.url === '/hangs-up') socket.close()
      else socket.send(`${data}`.toUpperCase())
    })
    socket.send('x'.repeat(300))
  })
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterEach(() => {
  for (const client of server.clients) client.terminate()
  server.close()
})

test('every frame arrives whole and is answered, whatever its length', async () => {
  const { socket, greeting } = await openFrameSocket(`${url}/`, {}, 1)
  expect(greeting).toEqual(['x'.repeat(300)])
  const texts = Array.from({ length: 500 }, (_, i) => `${i} ${'y'.repeat(i)}`)
  const rate = await frameLoad([{ socket, frames: texts.map(clientFrame) }], 16)
  expect(received).toEqual(texts)
  expect(rate).toBeGreaterThan(0)
  socket.destroy()
})

test('a server that hangs up under load is an error, not a figure', async () => {
  const { socket } = await openFrameSocket(`${url}/hangs-up`, {}, 1)
  const frames = Array.from({ length: 50 }, () => clientFrame('ping'))
  await expect(frameLoad([{ socket, frames }], 4)).rejects.toThrow()
})

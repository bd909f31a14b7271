import { createHmac } from 'node:crypto'
import { type RawData, WebSocketServer } from 'ws'

/** The bare parts of a heartbeat frame: a ws echo that checks one HMAC and makes another. Sends its port. */
const key = Buffer.alloc(32, 7)
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false })
const mac = (text: string): string => createHmac('sha256', key).update(text).digest('base64url')
server.on('connection', (socket) => {
  socket.on('message', (data: RawData) => {
    const text = String(data)
    const split = text.indexOf(' ')
    const payload = text.slice(split + 1)
    if (mac(payload) !== text.slice(0, split)) return socket.close(4401)
    JSON.parse(payload)
    socket.send(`${mac(payload)} ${payload}`)
  })
})
server.on('listening', () => {
  const address = server.address()
  process.send?.({ type: 'ready', port: typeof address === 'object' ? address?.port : 0 })
})
process.on('disconnect', () => process.exit(0))

import { createHmac } from 'node:crypto'
import { limits } from '@fleetupdate/sdk/protocol'
import { WebSocket } from 'ws'

/** The bare parts of an idle agent: Node, a ws client and one HMAC for each heartbeat it sends; no facts, no checks. */
const key = Buffer.alloc(32, 7)
const socket = new WebSocket(process.env.CEILING_URL ?? '', { perMessageDeflate: false })
const payload = '{"type":"ping"}'
socket.on('open', () => {
  process.send?.({ type: 'ready', port: 0 })
  setInterval(() => {
    socket.send(`${createHmac('sha256', key).update(payload).digest('base64url')} ${payload}`)
  }, limits.heartbeatMs)
})
process.on('disconnect', () => process.exit(0))

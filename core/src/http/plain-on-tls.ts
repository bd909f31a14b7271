import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Server } from 'node:https'
import type { Socket } from 'node:net'
import { fleetError } from '../errors.ts'

const patienceMs = 30_000
/** Of a TLS handshake record. */
const handshake = 0x16

/**
 * Lets a TLS server answer those who speak plain HTTP to its port: browsers are sent to https, programs are told. Nothing else is served without
 * TLS. Call it once, before the server listens.
 */
export function answerPlainHttp(server: Server): void {
  const secure = server.listeners('connection') as ((socket: Socket) => void)[]
  const plain = createServer(pointToHttps)
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    const giveUp = (): void => void socket.destroy()
    socket.setTimeout(patienceMs, giveUp)
    socket.once('error', giveUp)
    socket.once('readable', () => {
      const first = socket.read(1) as Buffer | null
      socket.setTimeout(0)
      socket.off('timeout', giveUp)
      socket.off('error', giveUp)
      if (first === null) return giveUp()
      socket.unshift(first)
      if (first[0] !== handshake) return void plain.emit('connection', socket)
      for (const listener of secure) listener.call(server, socket)
    })
  })
}

function pointToHttps({ method, url = '/', headers }: IncomingMessage, response: ServerResponse): void {
  const { host = '' } = headers
  const isPage = method === 'GET' || method === 'HEAD'
  // The same host and nothing that could end the header.
  if (isPage && /^[\w.[\]:-]{1,255}$/.test(host) && /^\/(?!\/)[\x21-\x7e]*$/.test(url)) {
    response.writeHead(308, { location: `https://${host}${url}`, connection: 'close' }).end()
    return
  }
  response
    .writeHead(400, { 'content-type': 'application/json; charset=utf-8', connection: 'close' })
    .end(JSON.stringify(fleetError('FLT_HTTP_PLAIN')))
}

import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { securityHeaders } from './security-headers.ts'

export type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/** Hands each upgrade request to the handler of its exact path; everything else is refused. Returns what ends it. */
export function registerUpgrades(
  server: Server,
  handlers: Readonly<Record<string, UpgradeHandler>>,
): () => void {
  const listener: UpgradeHandler = (request, socket, head) => {
    socket.on('error', () => socket.destroy())
    const path = request.url?.split('?', 1)[0] ?? ''
    const handler = Object.hasOwn(handlers, path) ? handlers[path] : undefined
    if (handler) handler(request, socket, head)
    else
      refuseUpgrade(socket, 404, {
        code: 'FLT_HTTP_NOT_FOUND',
        message: 'There is no WebSocket at this path.',
      })
  }
  server.on('upgrade', listener)
  return () => server.off('upgrade', listener)
}

/** Answers an upgrade request with an error, with the headers that every answer carries, and ends the connection. */
export function refuseUpgrade(
  socket: Duplex,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  const text = JSON.stringify(body)
  const lines = Object.entries({
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(text)),
    'cache-control': 'no-store',
    connection: 'close',
    ...securityHeaders('encrypted' in socket && socket.encrypted === true),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}`)
  socket.end(`HTTP/1.1 ${status} Refused\r\n${lines.join('\r\n')}\r\n\r\n${text}`)
}

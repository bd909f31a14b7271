import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FleetError } from '@fleetupdate/sdk'

/** Answers an upgrade request with an error, over the bare socket, and ends it. `sign` gives the headers of a signed answer. */
export function refuseUpgrade(
  socket: Duplex,
  error: FleetError,
  sign: (status: number, body: Buffer) => Readonly<Record<string, string>> | undefined,
): void {
  if (socket.destroyed) return
  const body = Buffer.from(JSON.stringify(error.toJSON()))
  const headers: Record<string, string | number> = {
    'content-type': 'application/json',
    'content-length': body.length,
    'cache-control': 'no-store',
    connection: 'close',
    ...sign(error.status, body),
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  const head = `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ''}\r\n${lines.join('\r\n')}\r\n\r\n`
  socket.end(Buffer.concat([Buffer.from(head), body]))
}

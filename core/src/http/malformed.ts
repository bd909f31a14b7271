import type { Socket } from 'node:net'
import { fleetError } from '../errors.ts'
import { refuseUpgrade } from './upgrades.ts'

/** Answers what is no HTTP request, before any route could: coded, and with the headers that every answer carries. */
export function answerMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const known =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? fleetError('FLT_HTTP_HEADERS_TOO_LARGE')
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? fleetError('FLT_HTTP_SLOW')
        : fleetError('FLT_HTTP_MALFORMED', { problem: error.code ?? 'unknown' })
  refuseUpgrade(socket, known.status, known.toJSON())
}

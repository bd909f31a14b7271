import type { Socket } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { SignedIn } from '../http/routes.ts'

/** Header in which the program `fleetupdate` names the user of the operating system who called it, percent-encoded. */
export const consoleUserHeader = 'x-fleetupdate-console-user'

/**
 * Who speaks through the server's own socket in its data folder. Only the server's user and root can open that, and both have the
 * data in their hands anyway: they are let in as admins, and the audit names the user they were called by.
 */
export interface ConsolePeers {
  /** Everything that comes over this connection is the console's. */
  admit(socket: Socket): void
  /** Undefined for a request that came any other way, whatever its headers say. */
  identify(request: FastifyRequest): SignedIn | undefined
}

/** One per server. */
export function createConsolePeers(): ConsolePeers {
  const admitted = new WeakSet<object>()
  return {
    admit: (socket) => void admitted.add(socket),
    identify({ raw, headers }) {
      if (!admitted.has(raw.socket)) return undefined
      const user = readUser(headers[consoleUserHeader])
      return { name: `console:${user}`, role: 'admin', userId: '', sessionId: 'console', consoleUser: user }
    },
  }
}

function readUser(header: string | string[] | undefined): string {
  try {
    const user = decodeURIComponent(String(header ?? ''))
      .replace(/[\p{Cc}\p{Cf}]/gu, '')
      .slice(0, 100)
    return user === '' ? 'unknown' : user
  } catch {
    return 'unknown'
  }
}

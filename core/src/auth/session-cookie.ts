import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Origins } from './same-origin.ts'

/** The browser's session: HttpOnly, SameSite=Strict; over https also Secure and bound to the host (`__Host-fleet_session`). */
export interface SessionCookie {
  read(request: Pick<FastifyRequest, 'headers'>): string | undefined
  /** `expiresAt` in Unix milliseconds. */
  set(request: FastifyRequest, reply: FastifyReply, token: string, expiresAt: number): void
  clear(request: FastifyRequest, reply: FastifyReply): void
}

const plainName = 'fleet_session'

/** Reads and writes it by hand: one name, one value that needs no encoding. */
export function createSessionCookie({ isHttps }: Pick<Origins, 'isHttps'>): SessionCookie {
  const nameFor = (request: Pick<FastifyRequest, 'headers'>): string =>
    isHttps(request) ? `__Host-${plainName}` : plainName
  const write = (request: FastifyRequest, reply: FastifyReply, value: string, expires: Date): void => {
    const secure = isHttps(request) ? '; Secure' : ''
    reply.header(
      'set-cookie',
      `${nameFor(request)}=${value}; Path=/; Expires=${expires.toUTCString()}; HttpOnly; SameSite=Strict${secure}`,
    )
  }
  return {
    read(request) {
      const prefix = `${nameFor(request)}=`
      const pair = request.headers.cookie?.split(';').find((part) => part.trim().startsWith(prefix))
      return pair?.trim().slice(prefix.length)
    },
    set: (request, reply, token, expiresAt) => write(request, reply, token, new Date(expiresAt)),
    clear: (request, reply) => write(request, reply, '', new Date(0)),
  }
}

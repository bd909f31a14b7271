import type { FastifyRequest } from 'fastify'
import { fleetError } from '../errors.ts'
import type { SignedIn } from '../http/routes.ts'
import { type ApiTokens, isApiToken } from './api-tokens.ts'
import type { Origins } from './same-origin.ts'
import type { SessionCookie } from './session-cookie.ts'
import type { Sessions } from './sessions.ts'

/** The person behind a request, or undefined where nobody is signed in. */
export type Authenticator = (request: FastifyRequest) => Promise<SignedIn | undefined>

export interface AuthenticatorOptions {
  readonly sessions: Pick<Sessions, 'verify'>
  readonly tokens: Pick<ApiTokens, 'verify'>
  readonly cookie: Pick<SessionCookie, 'read'>
  readonly origins: Pick<Origins, 'isSameOrigin'>
}

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Reads the bearer token, else the cookie. A browser adds the cookie by itself: with it, an unsafe method that another site's page
 * made is refused with FLT_HTTP_CROSS_SITE.
 */
export function createAuthenticator({
  sessions,
  tokens,
  cookie,
  origins,
}: AuthenticatorOptions): Authenticator {
  return async (request) => {
    const bearer = /^Bearer +([\w.~+/=-]+) *$/i.exec(request.headers.authorization ?? '')?.[1]
    if (bearer !== undefined) return isApiToken(bearer) ? tokens.verify(bearer) : sessions.verify(bearer)
    // Another scheme is an attempt of its own, not an invitation to look for a cookie.
    if (request.headers.authorization !== undefined) return undefined
    const token = cookie.read(request)
    if (token === undefined || token === '') return undefined
    const subject = await sessions.verify(token)
    if (subject && !safeMethods.has(request.method) && !origins.isSameOrigin(request))
      throw fleetError('FLT_HTTP_CROSS_SITE')
    return subject
  }
}

import { Type } from 'typebox'
import type { Audit } from '../audit/create-audit.ts'
import { fleetError } from '../errors.ts'
import { byOf, type Route, type RouteCall } from '../http/routes.ts'
import { apiTokenOf } from './api-tokens.ts'
import type { Sessions } from './sessions.ts'

const Time = Type.String({ format: 'date-time' })
const SessionView = Type.Object({
  id: Type.String(),
  createdAt: Time,
  expiresAt: Time,
  address: Type.String(),
  client: Type.String({ description: 'What the client called itself (User-Agent)' }),
  current: Type.Boolean({ description: 'The one that asks' }),
})

/** The own logins: seen, and ended one by one or all at once. */
export function sessionRoutes(deps: {
  readonly sessions: Sessions
  readonly audit: Audit
}): readonly Route[] {
  const { sessions, audit } = deps
  return [
    {
      method: 'GET',
      path: '/api/auth/sessions',
      rule: { role: 'viewer' },
      summary: 'The own logins that are open now, newest first',
      answer: Type.Object({ items: Type.Array(SessionView) }),
      async handle({ subject }) {
        const open = await sessions.list(subject.userId)
        const items = open.map(({ createdAt, expiresAt, ...session }) => ({
          ...session,
          createdAt: new Date(createdAt).toISOString(),
          expiresAt: new Date(expiresAt).toISOString(),
          current: session.id === subject.sessionId,
        }))
        return { items }
      },
    },
    {
      method: 'DELETE',
      path: '/api/auth/sessions/:id',
      rule: { role: 'viewer' },
      summary: 'End one of the own logins; what it has open closes',
      answer: Type.Object({ id: Type.String() }),
      async handle(call) {
        const { userId } = requireLogin(call)
        const { id = '' } = call.params
        const open = await sessions.list(userId)
        if (!open.some((session) => session.id === id))
          throw fleetError('FLT_AUTH_SESSION_UNKNOWN', { id: id.slice(0, 64) })
        await sessions.end(id, [
          audit.row({ ...byOf(call), action: 'session.ended', details: { session: id } }),
        ])
        return { id }
      },
    },
    {
      method: 'POST',
      path: '/api/auth/sessions/end-others',
      rule: { role: 'viewer' },
      summary: 'End all own logins but the one that asks',
      answer: Type.Object({ ended: Type.Integer() }),
      async handle(call) {
        const { userId, sessionId } = requireLogin(call)
        const row = audit.row({ ...byOf(call), action: 'sessions.ended' })
        return { ended: await sessions.endOthers(userId, sessionId, [row]) }
      },
    },
  ]
}

/** A program's token must not end the logins of its owner. */
function requireLogin({ subject }: RouteCall): RouteCall['subject'] {
  if (apiTokenOf(subject.sessionId) !== undefined) throw fleetError('FLT_TOKEN_NEEDS_LOGIN')
  return subject
}

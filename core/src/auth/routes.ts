import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Audit } from '../audit/create-audit.ts'
import { fleetError } from '../errors.ts'
import type { Route } from '../http/routes.ts'
import { type ApiTokens, apiTokenOf } from './api-tokens.ts'
import type { Login } from './login.ts'
import type { Origins } from './same-origin.ts'
import type { SessionCookie } from './session-cookie.ts'
import type { Sessions } from './sessions.ts'

export interface PeopleRouteOptions {
  readonly login: Login
  readonly sessions: Sessions
  readonly tokens: ApiTokens
  readonly cookie: SessionCookie
  readonly origins: Origins
  readonly audit: Audit
}

const closed = { additionalProperties: false }
const Time = Type.String({ format: 'date-time' })
const UserView = Type.Object({
  name: Type.String(),
  role: Type.Enum(['viewer', 'operator', 'admin']),
})
const Credentials = Type.Object(
  {
    username: Type.String({ minLength: 1, maxLength: 128 }),
    password: Type.String({ minLength: 1, maxLength: 1024 }),
    code: Type.Optional(
      Type.String({ minLength: 1, maxLength: 40, description: 'Of the second factor, where it is on' }),
    ),
  },
  closed,
)
const PasswordChange = Type.Object(
  {
    current: Type.String({ minLength: 1, maxLength: 1024 }),
    next: Type.String({
      minLength: 10,
      maxLength: 1024,
      description: 'The new password; at least 10 characters.',
    }),
  },
  closed,
)
const credentials = Compile(Credentials)
const passwordChange = Compile(PasswordChange)
const Done = Type.Object({ ok: Type.Literal(true) })

/** Login, logout, who I am, and the own password. */
export function peopleRoutes({
  login,
  sessions,
  tokens,
  cookie,
  origins,
  audit,
}: PeopleRouteOptions): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/api/auth/login',
      rule: 'public',
      summary: 'Log in: a bearer token for programs, and the same as a cookie for browsers',
      body: Credentials,
      answer: Type.Object({ token: Type.String(), expiresAt: Time, user: UserView }),
      bodyLimit: 8192,
      async handle(call) {
        // Else another site could sign a visitor in as somebody else.
        if (!origins.isSameOrigin(call.request)) throw fleetError('FLT_HTTP_CROSS_SITE')
        const { ip: address, headers } = call.request
        const attempt = { ...credentials.Parse(call.body), address, client: headers['user-agent'] }
        const { token, expiresAt, user } = await login.logIn(attempt)
        cookie.set(call.request, call.reply, token, expiresAt)
        return { token, expiresAt: iso(expiresAt), user: { name: user.name, role: user.role } }
      },
    },
    {
      method: 'POST',
      path: '/api/auth/logout',
      rule: { role: 'viewer' },
      summary: 'End this session; its token is refused from now on',
      answer: Done,
      async handle({ subject, request, reply }) {
        const actor = { type: 'user' as const, id: subject.name }
        const row = audit.row({ actor, action: 'session.ended', address: request.ip })
        const tokenId = apiTokenOf(subject.sessionId)
        if (tokenId === undefined) await sessions.end(subject.sessionId, [row])
        else await tokens.end(tokenId, [row])
        cookie.clear(request, reply)
        return { ok: true }
      },
    },
    {
      method: 'GET',
      path: '/api/auth/me',
      rule: { role: 'viewer' },
      summary: 'Who I am',
      answer: Type.Object({ user: UserView, expiresAt: Time }),
      async handle({ subject }) {
        const { sessionId } = subject
        const expiresAt = (await tokens.expiresAt(sessionId)) ?? (await sessions.expiresAt(sessionId))
        return { user: { name: subject.name, role: subject.role }, expiresAt: iso(expiresAt ?? 0) }
      },
    },
    {
      method: 'POST',
      path: '/api/auth/password',
      rule: { role: 'viewer' },
      summary: 'Change the own password; all other sessions end',
      body: PasswordChange,
      answer: Done,
      bodyLimit: 8192,
      async handle(call) {
        const { current, next } = passwordChange.Parse(call.body)
        const { name, sessionId } = call.subject
        const attempt = { username: name, password: current, address: call.request.ip }
        await login.changePassword(attempt, next, sessionId)
        return { ok: true }
      },
    },
  ]
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}

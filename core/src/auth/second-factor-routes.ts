import { type Static, type TSchema, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Audit } from '../audit/create-audit.ts'
import { fleetError } from '../errors.ts'
import { byOf, type Route, type RouteCall } from '../http/routes.ts'
import { apiTokenOf } from './api-tokens.ts'
import type { Login } from './login.ts'
import type { SecondFactor } from './second-factor.ts'
import type { Sessions } from './sessions.ts'
import type { Users } from './users.ts'

const closed = { additionalProperties: false }
const Password = Type.String({ minLength: 1, maxLength: 1024 })
const Code = Type.String({ minLength: 6, maxLength: 40, description: 'Of the app, or a recovery code' })
const WithPassword = Type.Object({ password: Password }, closed)
const WithCode = Type.Object({ code: Code }, closed)
const WithBoth = Type.Object({ password: Password, code: Code }, closed)
const Done = Type.Object({ ok: Type.Literal(true) })
const readPassword = reader(WithPassword)
const readCode = reader(WithCode)
const readBoth = reader(WithBoth)

/** The own second factor, and for admins the way to take away somebody's whose app and codes are lost. */
export function secondFactorRoutes(deps: {
  readonly login: Login
  readonly users: Users
  readonly sessions: Sessions
  readonly second: SecondFactor
  readonly audit: Audit
}): readonly Route[] {
  const { login, users, sessions, second, audit } = deps
  const row = (call: RouteCall, action: string, target: string) =>
    audit.row({ ...byOf(call), action, target })
  return [
    {
      method: 'GET',
      path: '/api/auth/second-factor',
      rule: { role: 'viewer' },
      summary: 'Whether the own login asks for a code',
      answer: Type.Object({ on: Type.Boolean() }),
      handle: async ({ subject }) => ({ on: await second.isOn(subject.userId) }),
    },
    {
      method: 'POST',
      path: '/api/auth/second-factor',
      rule: { role: 'viewer' },
      summary: 'Get a secret for an authenticator app (RFC 6238); it counts once a code confirmed it',
      body: WithPassword,
      answer: Type.Object({ secret: Type.String(), uri: Type.String() }),
      async handle(call) {
        const user = await login.prove(ownAttempt(call, readPassword(call.body).password))
        return second.begin(user)
      },
    },
    {
      method: 'POST',
      path: '/api/auth/second-factor/confirm',
      rule: { role: 'viewer' },
      summary: 'Turn the second factor on with a code of the app; the answer alone holds the recovery codes',
      body: WithCode,
      answer: Type.Object({ recoveryCodes: Type.Array(Type.String()) }),
      async handle(call) {
        const { subject } = requireLogin(call)
        const more = [row(call, 'second-factor.added', subject.name)]
        return { recoveryCodes: await second.confirm(subject.userId, readCode(call.body).code, more) }
      },
    },
    {
      method: 'POST',
      path: '/api/auth/second-factor/remove',
      rule: { role: 'viewer' },
      summary: 'Turn the second factor off; needs the password and a code. All sessions end',
      body: WithBoth,
      answer: Done,
      async handle(call) {
        const { password, code } = readBoth(call.body)
        const user = await login.prove({ ...ownAttempt(call, password), code }, 'all')
        await sessions.endAll(user.id, [
          ...second.removal(user.id),
          row(call, 'second-factor.removed', user.name),
        ])
        return { ok: true }
      },
    },
    {
      method: 'DELETE',
      path: '/api/users/:id/second-factor',
      rule: { role: 'admin' },
      summary: "Take away a person's second factor, whose app is lost; all sessions of that person end",
      answer: Done,
      async handle(call) {
        const { id = '' } = call.params
        const user = await users.get(id)
        if (!user) throw fleetError('FLT_USER_UNKNOWN', { id: id.slice(0, 64) })
        await sessions.endAll(id, [...second.removal(id), row(call, 'second-factor.removed', user.name)])
        return { ok: true }
      },
    },
  ]
}

function ownAttempt(call: RouteCall, password: string): Parameters<Login['prove']>[0] {
  const { subject, request } = requireLogin(call)
  return { username: subject.name, password, address: request.ip }
}

/** A program's token must not change how its owner logs in. */
function requireLogin(call: RouteCall): RouteCall {
  if (apiTokenOf(call.subject.sessionId) !== undefined) throw fleetError('FLT_TOKEN_NEEDS_LOGIN')
  return call
}

function reader<S extends TSchema>(schema: S): (body: unknown) => Static<S> {
  const compiled = Compile(schema)
  return (body) => {
    if (compiled.Check(body)) return body
    throw fleetError('FLT_HTTP_INVALID', { problem: 'the body does not fit' })
  }
}

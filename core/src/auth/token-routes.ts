import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Audit } from '../audit/create-audit.ts'
import { fleetError } from '../errors.ts'
import { byOf, type Route, type SignedIn } from '../http/routes.ts'
import type { Store } from '../store/store.ts'
import { type ApiTokens, apiTokenOf } from './api-tokens.ts'
import { authorize, isAtLeast } from './authorize.ts'
import type { Users } from './users.ts'

const closed = { additionalProperties: false }
const Roles = Type.Enum(['viewer', 'operator', 'admin'])
const Time = Type.String({ format: 'date-time' })
const TokenView = Type.Object({
  id: Type.String(),
  user: Type.String(),
  name: Type.String(),
  role: Roles,
  createdAt: Time,
  expiresAt: Time,
  state: Type.Enum(['open', 'expired', 'ended']),
})
const Terms = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 100, description: 'What it is for' }),
    role: Type.Enum(['viewer', 'operator', 'admin'], { description: 'At most the own role' }),
    days: Type.Integer({ minimum: 1, maximum: 366, description: 'How long it is good for' }),
    user: Type.Optional(
      Type.String({
        maxLength: 128,
        description: "Who it acts for; only, and always, where it is made on the server's own machine",
      }),
    ),
  },
  closed,
)
const terms = Compile(Terms)
const dayMs = 86_400_000
const shown = 500

/** API tokens: everybody makes, sees and ends the own ones; admins see and end all. */
export function apiTokenRoutes(deps: {
  readonly store: Store
  readonly users: Users
  readonly tokens: ApiTokens
  readonly audit: Audit
  readonly now: () => number
}): readonly Route[] {
  const { store, users, tokens, audit, now } = deps
  const ownerOf = (subject: SignedIn, user: string | undefined) => ownerIn(users, subject, user)
  return [
    {
      method: 'GET',
      path: '/api/tokens',
      rule: { role: 'viewer' },
      summary: 'The own API tokens; for admins those of everybody',
      answer: Type.Object({ items: Type.Array(TokenView) }),
      async handle({ subject }) {
        let query = store.read
          .selectFrom('api_tokens')
          .innerJoin('users', 'users.id', 'api_tokens.userId')
          .select(['api_tokens.id', 'users.name as user', 'api_tokens.name', 'api_tokens.role'])
          .select(['api_tokens.createdAt', 'expiresAt', 'endedAt'])
          .orderBy('api_tokens.createdAt', 'desc')
          .limit(shown)
        if (!isAtLeast(subject.role, 'admin')) query = query.where('userId', '=', subject.userId)
        const rows = await query.execute()
        const items = rows.map(({ endedAt, createdAt, expiresAt, ...row }) => ({
          ...row,
          createdAt: iso(createdAt),
          expiresAt: iso(expiresAt),
          state: endedAt !== null ? 'ended' : expiresAt > now() ? 'open' : 'expired',
        }))
        return { items }
      },
    },
    {
      method: 'POST',
      path: '/api/tokens',
      rule: { role: 'viewer' },
      summary: 'Make an API token for a program; the answer alone holds it. Needs a login, not another token',
      body: Terms,
      answer: Type.Object({ id: Type.String(), token: Type.String(), role: Roles, expiresAt: Time }),
      status: 201,
      async handle(call) {
        const { subject } = call
        // Else a stolen token could outlive its own end.
        if (apiTokenOf(subject.sessionId) !== undefined) throw fleetError('FLT_TOKEN_NEEDS_LOGIN')
        const { name, role, days, user } = readTerms(call.body)
        const owner = await ownerOf(subject, user)
        authorize(owner, 'grant', { role })
        const expiresAt = now() + days * dayMs
        const made = tokens.create({ userId: owner.userId, name, role, expiresAt })
        const details = { name, role, days, ...(user === undefined ? {} : { user }) }
        await store.write([
          ...made.statements,
          audit.row({ ...byOf(call), action: 'api-token.created', target: made.id, details }),
        ])
        return { id: made.id, token: made.token, role, expiresAt: iso(expiresAt) }
      },
    },
    {
      method: 'DELETE',
      path: '/api/tokens/:id',
      rule: { role: 'viewer' },
      summary: 'End an API token; everything that was opened with it closes',
      answer: Type.Object({ id: Type.String() }),
      async handle(call) {
        const { id = '' } = call.params
        const row = await store.read
          .selectFrom('api_tokens')
          .select('userId')
          .where('id', '=', id)
          .executeTakeFirst()
        const isOwn = row?.userId === call.subject.userId
        const more = [audit.row({ ...byOf(call), action: 'api-token.ended', target: id })]
        // Others' tokens answer like unknown ones.
        const isAllowed = row && (isOwn || isAtLeast(call.subject.role, 'admin'))
        if (!isAllowed || !(await tokens.end(id, more)))
          throw fleetError('FLT_TOKEN_UNKNOWN', { id: id.slice(0, 64) })
        return { id }
      },
    },
  ]
}

/** Whoever has the server's files in hand is no person that a token could act for. */
async function ownerIn(users: Users, subject: SignedIn, user: string | undefined): Promise<SignedIn> {
  if (subject.consoleUser === undefined) {
    if (user === undefined) return subject
    throw fleetError('FLT_HTTP_INVALID', { problem: 'a token acts for whoever makes it: leave out "user"' })
  }
  if (user === undefined)
    throw fleetError('FLT_HTTP_INVALID', { problem: 'say for whom the token acts: "user"' })
  const found = await users.find(user)
  if (!found) throw fleetError('FLT_USER_UNKNOWN', { id: user })
  return { ...subject, name: found.name, role: found.role, userId: found.id }
}

function readTerms(body: unknown): Static<typeof Terms> {
  if (terms.Check(body)) return body
  throw fleetError('FLT_HTTP_INVALID', { problem: 'the body does not fit' })
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}

import { FleetError, type Role } from '@fleetupdate/sdk'
import { type Static, type TSchema, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Audit } from '../audit/create-audit.ts'
import { fleetError } from '../errors.ts'
import { byOf, type Route } from '../http/routes.ts'
import type { Store, WriteStatement } from '../store/store.ts'
import type { ApiTokens } from './api-tokens.ts'
import type { Passwords } from './passwords.ts'
import type { Sessions } from './sessions.ts'
import type { User, Users } from './users.ts'

const closed = { additionalProperties: false }
const Roles = Type.Enum(['viewer', 'operator', 'admin'])
const Password = Type.String({ minLength: 10, maxLength: 1024, description: 'At least 10 characters' })
const UserView = Type.Object({
  id: Type.String(),
  name: Type.String(),
  role: Roles,
  createdAt: Type.String({ format: 'date-time' }),
  disabled: Type.Boolean({ description: 'Exists, and does not get in' }),
  secondFactor: Type.Boolean({ description: 'The login asks for a code' }),
  sessions: Type.Integer({ description: 'Logins that are open now' }),
})
const NewUser = Type.Object(
  {
    name: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$' }),
    role: Roles,
    password: Password,
  },
  closed,
)
const Changes = Type.Object(
  {
    role: Type.Optional(Roles),
    password: Type.Optional(Password),
    disabled: Type.Optional(
      Type.Boolean({ description: 'true shuts the person out until it is false again' }),
    ),
  },
  { ...closed, minProperties: 1 },
)
const readNew = reader(NewUser)
const readChanges = reader(Changes)

/** People, for admins. Whoever is removed or gets another role or password is signed out everywhere at once. */
export function userRoutes(deps: {
  readonly store: Store
  readonly users: Users
  readonly passwords: Passwords
  readonly sessions: Sessions
  readonly tokens: ApiTokens
  readonly audit: Audit
  readonly now: () => number
}): readonly Route[] {
  const { store, users, passwords, sessions, tokens, audit, now } = deps
  const known = async (id: string): Promise<User> => {
    const user = await users.get(id)
    if (!user) throw fleetError('FLT_USER_UNKNOWN', { id: id.slice(0, 64) })
    return user
  }
  return [
    {
      method: 'GET',
      path: '/api/users',
      rule: { role: 'admin' },
      summary: 'Everybody who can log in',
      answer: Type.Object({ items: Type.Array(UserView) }),
      async handle() {
        const rows = await store.read
          .selectFrom('users')
          .select(['id', 'name', 'role', 'createdAt', 'disabledAt'])
          .select(({ selectFrom, fn }) => [
            selectFrom('user_totp')
              .select(fn.countAll<number>().as('count'))
              .whereRef('userId', '=', 'users.id')
              .where('confirmedAt', 'is not', null)
              .as('factors'),
            selectFrom('sessions')
              .select(fn.countAll<number>().as('count'))
              .whereRef('userId', '=', 'users.id')
              .where('endedAt', 'is', null)
              .where('expiresAt', '>', now())
              .as('sessions'),
          ])
          .orderBy('name')
          .limit(1000)
          .execute()
        const items = rows.map(({ createdAt, disabledAt, factors, sessions: open, ...row }) => ({
          ...row,
          createdAt: new Date(createdAt).toISOString(),
          disabled: disabledAt !== null,
          secondFactor: Number(factors) > 0,
          sessions: Number(open),
        }))
        return { items }
      },
    },
    {
      method: 'POST',
      path: '/api/users',
      rule: { role: 'admin' },
      summary: 'Add a person',
      body: NewUser,
      answer: Type.Object({ id: Type.String(), name: Type.String(), role: Roles }),
      status: 201,
      bodyLimit: 8192,
      async handle(call) {
        const { name, role, password } = readNew(call.body)
        const hash = await passwords.hash(password)
        const row = audit.row({ ...byOf(call), action: 'user.created', target: name, details: { role } })
        await orElse([...users.create({ name, role }, hash), row], fleetError('FLT_USER_EXISTS', { name }))
        const made = await users.find(name)
        return { id: made?.id ?? '', name, role }
      },
    },
    {
      method: 'PATCH',
      path: '/api/users/:id',
      rule: { role: 'admin' },
      summary: 'Give a person another role or password, or shut them out; all sessions of that person end',
      body: Changes,
      answer: Type.Object({ id: Type.String(), name: Type.String(), role: Roles }),
      bodyLimit: 8192,
      async handle(call) {
        const user = await known(call.params.id ?? '')
        const { role, password, disabled } = readChanges(call.body)
        const changes: WriteStatement[] = []
        const note = (action: string, details: { role?: Role }): void =>
          void changes.push(audit.row({ ...byOf(call), action, target: user.name, details }))
        if (role !== undefined) {
          changes.push(users.changeRole(user.id, role))
          note('user.role-changed', { role })
        }
        if (password !== undefined) {
          changes.push(users.setPassword(user.id, await passwords.hash(password)))
          note('password.changed', {})
        }
        if (disabled !== undefined) {
          const next = disabled ? 'disabled' : 'enabled'
          changes.push(users.setDisabled(user.id, next))
          note(`user.${next}`, {})
        }
        const close = await tokens.closerFor(user.id)
        await lastAdminOr(() => sessions.endAll(user.id, changes))
        close()
        return { id: user.id, name: user.name, role: role ?? user.role }
      },
    },
    {
      method: 'DELETE',
      path: '/api/users/:id',
      rule: { role: 'admin' },
      summary: 'Remove a person, with all sessions and API tokens; the last admin stays',
      answer: Type.Object({ id: Type.String() }),
      async handle(call) {
        const { id, name } = await known(call.params.id ?? '')
        const row = audit.row({ ...byOf(call), action: 'user.removed', target: name })
        const close = await tokens.closerFor(id)
        await lastAdminOr(() => sessions.endAll(id, [users.remove(id), row]))
        close()
        return { id }
      },
    },
  ]

  async function orElse(statements: readonly WriteStatement[], otherwise: FleetError): Promise<void> {
    try {
      await store.write(statements)
    } catch (error) {
      throw isConflict(error) ? otherwise : error
    }
  }
}

/** The statements themselves refuse to touch the last admin, so that two requests at once can't either. */
async function lastAdminOr(write: () => Promise<unknown>): Promise<void> {
  try {
    await write()
  } catch (error) {
    throw isConflict(error) ? fleetError('FLT_USER_LAST_ADMIN') : error
  }
}

function isConflict(error: unknown): boolean {
  return error instanceof FleetError && error.code === 'FLT_STORE_CONFLICT'
}

function reader<S extends TSchema>(schema: S): (body: unknown) => Static<S> {
  const compiled = Compile(schema)
  return (body) => {
    if (compiled.Check(body)) return body
    throw fleetError('FLT_HTTP_INVALID', { problem: 'the body does not fit' })
  }
}

import type { Role } from '@fleetupdate/sdk'
import { sql } from 'kysely'
import { v7 as uuid } from 'uuid'
import type { Store, WriteStatement } from '../store/store.ts'

export interface User {
  readonly id: string
  readonly name: string
  readonly role: Role
}

/** People as rows. What changes them is a list of statements, for one batch with its cause. */
export interface Users {
  find(name: string): Promise<User | undefined>
  get(id: string): Promise<User | undefined>
  isEmpty(): Promise<boolean>
  /** Whether an admin shut this person out. */
  isDisabled(userId: string): Promise<boolean>
  /** Never part of a listing: asked for by the login alone. */
  passwordHash(userId: string): Promise<string | undefined>
  /** Any stored hash, to take its time for a user that does not exist. */
  someHash(): Promise<string | undefined>
  create(user: Omit<User, 'id'>, passwordHash: string): readonly WriteStatement[]
  setPassword(userId: string, passwordHash: string): WriteStatement
  /** For the settings alone: whoever they name gets in. */
  setRole(userId: string, role: Role): WriteStatement
  /** Like `setRole`, but the batch fails with FLT_STORE_CONFLICT where it would leave no admin. */
  changeRole(userId: string, role: Role): WriteStatement
  /** Shuts a person out or lets them in again; the batch fails with FLT_STORE_CONFLICT for the last admin. */
  setDisabled(userId: string, disabled: 'disabled' | 'enabled'): WriteStatement
  /** With all that hangs on the person; the batch fails with FLT_STORE_CONFLICT for the last admin. */
  remove(userId: string): WriteStatement
}

/** Over the tables `users` and `user_secrets`. */
export function createUsers({ read }: Store, now: () => number = Date.now): Users {
  return {
    find: (name) =>
      read.selectFrom('users').select(['id', 'name', 'role']).where('name', '=', name).executeTakeFirst(),
    get: (id) =>
      read.selectFrom('users').select(['id', 'name', 'role']).where('id', '=', id).executeTakeFirst(),
    async isEmpty() {
      return (await read.selectFrom('users').select('id').limit(1).executeTakeFirst()) === undefined
    },
    async isDisabled(userId) {
      const query = read.selectFrom('users').select('disabledAt').where('id', '=', userId)
      return typeof (await query.executeTakeFirst())?.disabledAt === 'number'
    },
    async passwordHash(userId) {
      const query = read.selectFrom('user_secrets').select('passwordHash').where('userId', '=', userId)
      return (await query.executeTakeFirst())?.passwordHash
    },
    async someHash() {
      const query = read.selectFrom('user_secrets').select('passwordHash').orderBy('userId').limit(1)
      return (await query.executeTakeFirst())?.passwordHash
    },
    create({ name, role }, passwordHash) {
      const id = uuid()
      const createdAt = now()
      return [
        read.insertInto('users').values({ id, name, role, createdAt, disabledAt: null }).compile(),
        read.insertInto('user_secrets').values({ userId: id, passwordHash, changedAt: createdAt }).compile(),
      ]
    },
    setPassword(userId, passwordHash) {
      const { sql, parameters } = read
        .updateTable('user_secrets')
        .set({ passwordHash, changedAt: now() })
        .where('userId', '=', userId)
        .compile()
      return { sql, parameters, expectedRows: 1 }
    },
    setRole: (userId, role) =>
      read.updateTable('users').set({ role, disabledAt: null }).where('id', '=', userId).compile(),
    changeRole(userId, role) {
      const change = read.updateTable('users').set({ role }).where('id', '=', userId)
      const { sql: text, parameters } = (role === 'admin' ? change : change.where(isNotLastAdmin)).compile()
      return { sql: text, parameters, expectedRows: 1 }
    },
    setDisabled(userId, disabled) {
      const disabledAt = disabled === 'disabled' ? now() : null
      const change = read.updateTable('users').set({ disabledAt }).where('id', '=', userId)
      const kept = disabled === 'disabled' ? change.where(isNotLastAdmin) : change
      const { sql: text, parameters } = kept.compile()
      return { sql: text, parameters, expectedRows: 1 }
    },
    remove(userId) {
      const removal = read.deleteFrom('users').where('id', '=', userId).where(isNotLastAdmin)
      const { sql: text, parameters } = removal.compile()
      return { sql: text, parameters, expectedRows: 1 }
    },
  }
}

/** The row is no admin's who gets in, or another such admin exists. */
const isNotLastAdmin = sql<boolean>`("role" <> 'admin' or "disabledAt" is not null or (select count(*) from "users" where "role" = 'admin' and "disabledAt" is null) > 1)`

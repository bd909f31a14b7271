import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Role } from '@fleetupdate/sdk'
import { sql } from 'kysely'
import type { SignedIn } from '../http/routes.ts'
import type { Store, WriteStatement } from '../store/store.ts'
import { isAtLeast } from './authorize.ts'

export interface NewApiToken {
  readonly id: string
  /** `flt_<id>_<secret>`; shown once. */
  readonly token: string
  readonly statements: readonly WriteStatement[]
}

/** Tokens for programs: each acts for a person, with a role of its own that never counts for more than the person's. */
export interface ApiTokens {
  create(terms: {
    readonly userId: string
    readonly name: string
    readonly role: Role
    /** Unix ms. */
    readonly expiresAt: number
  }): NewApiToken
  /** Who it acts for, with the lesser of both roles; undefined where it is unknown, wrong, expired or ended. */
  verify(token: string): Promise<SignedIn | undefined>
  /** Undefined where the session is no token's. */
  expiresAt(sessionId: string): Promise<number | undefined>
  /** Ends it, with `more` in the same batch; false where it was not open. */
  end(id: string, more: readonly WriteStatement[]): Promise<boolean>
  /** What closes all that this person's tokens have open; asked for before the person is removed. */
  closerFor(userId: string): Promise<() => void>
  onEnded(handler: (sessionId: string) => void): () => void
}

const form = /^flt_([0-9a-f]{16})_([0-9a-f]{48})$/
const sessionPrefix = 'token:'

/** Whether a bearer token is one of these, right or wrong. */
export function isApiToken(token: string): boolean {
  return token.startsWith('flt_')
}

/** The id of the API token a session stands for; undefined where somebody logged in. */
export function apiTokenOf(sessionId: string): string | undefined {
  return sessionId.startsWith(sessionPrefix) ? sessionId.slice(sessionPrefix.length) : undefined
}

/** Only a hash of each secret is kept, in a table of its own. */
export function createApiTokens({ read, write }: Store, now: () => number): ApiTokens {
  const handlers = new Set<(sessionId: string) => void>()
  return {
    create(terms) {
      const id = randomBytes(8).toString('hex')
      const secret = randomBytes(24).toString('hex')
      const row = { id, ...terms, createdAt: now(), endedAt: null }
      return {
        id,
        token: `flt_${id}_${secret}`,
        statements: [
          read.insertInto('api_tokens').values(row).compile(),
          read
            .insertInto('api_token_secrets')
            .values({ tokenId: id, hash: hashOf(secret) })
            .compile(),
        ],
      }
    },
    async verify(token) {
      const [, id = '', secret = ''] = form.exec(token) ?? []
      if (id === '') return undefined
      const row = await read
        .selectFrom('api_tokens')
        .innerJoin('api_token_secrets', 'api_token_secrets.tokenId', 'api_tokens.id')
        .innerJoin('users', 'users.id', 'api_tokens.userId')
        .select(['users.id as userId', 'users.name', 'users.role', 'api_tokens.role as scope', 'hash'])
        .where('api_tokens.id', '=', id)
        .where('api_tokens.endedAt', 'is', null)
        .where('users.disabledAt', 'is', null)
        .where('api_tokens.expiresAt', '>', now())
        .executeTakeFirst()
      if (!row || !timingSafeEqual(Buffer.from(row.hash), hashOf(secret))) return undefined
      const role = isAtLeast(row.role, row.scope) ? row.scope : row.role
      return { name: row.name, role, userId: row.userId, sessionId: `${sessionPrefix}${id}` }
    },
    async expiresAt(sessionId) {
      const id = apiTokenOf(sessionId)
      if (id === undefined) return undefined
      const query = read.selectFrom('api_tokens').select('expiresAt').where('id', '=', id)
      return (await query.executeTakeFirst())?.expiresAt
    },
    async end(id, more) {
      const row = await read
        .selectFrom('api_tokens')
        .select('id')
        .where('id', '=', id)
        .where('endedAt', 'is', null)
        .executeTakeFirst()
      if (!row) return false
      await write([
        read
          .updateTable('api_tokens')
          .set({ endedAt: sql`coalesce("endedAt", ${now()})` })
          .where('id', '=', id)
          .compile(),
        read.deleteFrom('api_token_secrets').where('tokenId', '=', id).compile(),
        ...more,
      ])
      tell(id)
      return true
    },
    async closerFor(userId) {
      const rows = await read.selectFrom('api_tokens').select('id').where('userId', '=', userId).execute()
      return () => {
        for (const { id } of rows) tell(id)
      }
    },
    onEnded(handler) {
      handlers.add(handler)
      return () => handlers.delete(handler)
    },
  }

  function tell(id: string): void {
    for (const handler of handlers) handler(`${sessionPrefix}${id}`)
  }
}

/** The secret has 192 random bits: nothing slower is needed. */
function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}

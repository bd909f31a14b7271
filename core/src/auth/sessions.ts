import { hkdfSync } from 'node:crypto'
import { jwtVerify, SignJWT } from 'jose'
import { v7 as uuid } from 'uuid'
import type { SignedIn } from '../http/routes.ts'
import type { Store, WriteStatement } from '../store/store.ts'

export interface IssuedToken {
  readonly token: string
  readonly sessionId: string
  /** Unix milliseconds. */
  readonly expiresAt: number
}

/** Where a session was opened from, so that its owner recognises it. */
export interface SessionOrigin {
  readonly address: string
  /** The client's User-Agent. */
  readonly client: string
}

export interface OpenSession extends SessionOrigin {
  readonly id: string
  /** Unix milliseconds. */
  readonly createdAt: number
  readonly expiresAt: number
}

/** Sessions of people: a signed token that counts only as long as its row in the store does. */
export interface Sessions {
  /** Opens a session of 12 hours; `more` becomes part of the same batch. */
  issue(
    user: { readonly id: string; readonly role: string },
    origin: SessionOrigin,
    more?: readonly WriteStatement[],
  ): Promise<IssuedToken>
  /** The person behind a token, with the role of this moment; undefined where it is forged, expired or ended. */
  verify(token: string): Promise<SignedIn | undefined>
  expiresAt(sessionId: string): Promise<number | undefined>
  /** The open ones of a user, newest first. */
  list(userId: string): Promise<readonly OpenSession[]>
  /** Ends one session for real: its token is refused from now on. */
  end(sessionId: string, more?: readonly WriteStatement[]): Promise<void>
  /** Ends all sessions of a user but this one, with `more` in the same batch; answers how many. */
  endOthers(userId: string, exceptSessionId: string, more?: readonly WriteStatement[]): Promise<number>
  /** Ends all sessions of a user, with `more` in the same batch. */
  endAll(userId: string, more: readonly WriteStatement[]): Promise<void>
  /** Called with the id of each session after it was ended, so that live connections of it can be closed. */
  onEnded(handler: (sessionId: string) => void): () => void
  /** Removes rows that expired more than a day ago. */
  sweep(): Promise<void>
}

export interface SessionsOptions {
  readonly store: Store
  /** Any length; the signing key is derived from it. */
  readonly secret: Uint8Array
  /** Unix milliseconds. */
  now?(): number
}

const lifeMs = 12 * 60 * 60_000
const keepMs = 24 * 60 * 60_000
const mostListed = 200
const issuer = 'fleetupdate'

/** One per server. Tokens are HS256 JWTs with `sub`, `sid`, `role` and `exp`. */
export function createSessions({ store, secret, now = Date.now }: SessionsOptions): Sessions {
  const key = new Uint8Array(hkdfSync('sha256', secret, '', 'fleetupdate/v1/people-sessions', 32))
  const endedHandlers = new Set<(sessionId: string) => void>()
  return {
    async issue({ id: userId, role }, { address, client }, more = []) {
      const createdAt = now()
      const expiresAt = Math.floor((createdAt + lifeMs) / 1000) * 1000
      const sessionId = uuid()
      const origin = { address: address.slice(0, 64), client: client.slice(0, 256) }
      const row = {
        id: sessionId,
        userId,
        kind: 'login' as const,
        createdAt,
        expiresAt,
        ...origin,
        endedAt: null,
      }
      await store.write([store.read.insertInto('sessions').values(row).compile(), ...more])
      const token = await new SignJWT({ sid: sessionId, role })
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
        .setIssuer(issuer)
        .setSubject(userId)
        .setIssuedAt(Math.floor(createdAt / 1000))
        .setExpirationTime(expiresAt / 1000)
        .sign(key)
      return { token, sessionId, expiresAt }
    },
    async verify(token) {
      const claims = await claimsOf(token)
      if (!claims) return undefined
      // One short read: an ended session or a changed role counts at once, on every replica.
      const row = await store.read
        .selectFrom('sessions')
        .innerJoin('users', 'users.id', 'sessions.userId')
        .select(['sessions.id as sessionId', 'users.id as userId', 'users.name', 'users.role'])
        .where('sessions.id', '=', claims.sessionId)
        .where('sessions.userId', '=', claims.userId)
        .where('sessions.endedAt', 'is', null)
        .where('users.disabledAt', 'is', null)
        .where('sessions.expiresAt', '>', now())
        .executeTakeFirst()
      return row
    },
    async expiresAt(sessionId) {
      const row = await store.read
        .selectFrom('sessions')
        .select('expiresAt')
        .where('id', '=', sessionId)
        .executeTakeFirst()
      return row?.expiresAt
    },
    list: (userId) =>
      store.read
        .selectFrom('sessions')
        .select(['id', 'createdAt', 'expiresAt', 'address', 'client'])
        .where('userId', '=', userId)
        .where('endedAt', 'is', null)
        .where('expiresAt', '>', now())
        .orderBy('createdAt', 'desc')
        .limit(mostListed)
        .execute(),
    async end(sessionId, more = []) {
      const ending = store.read.updateTable('sessions').set({ endedAt: now() }).where('id', '=', sessionId)
      await store.write([ending.where('endedAt', 'is', null).compile(), ...more])
      tell(sessionId)
    },
    async endOthers(userId, exceptSessionId, more = []) {
      const [ended] = await store.write([
        store.read
          .updateTable('sessions')
          .set({ endedAt: now() })
          .where('userId', '=', userId)
          .where('id', '!=', exceptSessionId)
          .where('endedAt', 'is', null)
          .returning('id')
          .compile(),
        ...more,
      ])
      const ids = ended?.rows.map(({ id }) => String(id)) ?? []
      ids.forEach(tell)
      return ids.length
    },
    async endAll(userId, more) {
      const [ended] = await store.write([
        store.read
          .updateTable('sessions')
          .set({ endedAt: now() })
          .where('userId', '=', userId)
          .where('endedAt', 'is', null)
          .returning('id')
          .compile(),
        ...more,
      ])
      for (const { id } of ended?.rows ?? []) tell(String(id))
    },
    onEnded(handler) {
      endedHandlers.add(handler)
      return () => endedHandlers.delete(handler)
    },
    async sweep() {
      const old = store.read.deleteFrom('sessions').where('expiresAt', '<', now() - keepMs)
      await store.write([old.compile()])
    },
  }

  async function claimsOf(token: string): Promise<{ sessionId: string; userId: string } | undefined> {
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: ['HS256'],
        issuer,
        currentDate: new Date(now()),
        requiredClaims: ['sub', 'sid', 'exp'],
      })
      const { sid: sessionId, sub: userId } = payload
      return typeof sessionId === 'string' && userId !== undefined ? { sessionId, userId } : undefined
    } catch {
      return undefined
    }
  }

  function tell(sessionId: string): void {
    for (const handler of endedHandlers) handler(sessionId)
  }
}

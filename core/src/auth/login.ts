import type { FleetError } from '@fleetupdate/sdk'
import type { Audit } from '../audit/create-audit.ts'
import type { AuditEntry } from '../audit/entry.ts'
import { fleetError } from '../errors.ts'
import type { Store } from '../store/store.ts'
import type { LoginBackoff } from './login-backoff.ts'
import type { Passwords } from './passwords.ts'
import type { SecondFactor } from './second-factor.ts'
import type { IssuedToken, Sessions } from './sessions.ts'
import type { User, Users } from './users.ts'

export interface LoginAttempt {
  readonly username: string
  readonly password: string
  /** Of the second factor. */
  readonly code?: string | undefined
  /** The client's network address. */
  readonly address: string
  /** The client's User-Agent, kept with the session. */
  readonly client?: string | undefined
}

/** What a password can do. Both count as a guess when it is wrong. */
export interface Login {
  /** Throws FLT_AUTH_CODE_REQUIRED or _INVALID where a second factor is on, FLT_AUTH_DISABLED, FLT_AUTH_INVALID, in the same time whether the user exists or not, or FLT_AUTH_SLOW_DOWN. */
  logIn(attempt: LoginAttempt): Promise<IssuedToken & { readonly user: User }>
  /** Only proves who it is: by the password, or by `all` factors that are on. Throws like `logIn`. */
  prove(attempt: LoginAttempt, factors?: 'password' | 'all'): Promise<User>
  /** Proves the current password, keeps the next, and ends all other sessions of the user. */
  changePassword(attempt: LoginAttempt, next: string, sessionId: string): Promise<void>
}

export interface LoginOptions {
  readonly store: Store
  readonly users: Users
  readonly passwords: Passwords
  readonly backoff: LoginBackoff
  readonly sessions: Sessions
  readonly audit: Audit
  readonly second: Pick<SecondFactor, 'isOn' | 'use'>
}

/** One per server. */
export function createLogin({
  store,
  users,
  passwords,
  backoff,
  sessions,
  audit,
  second,
}: LoginOptions): Login {
  return {
    async logIn(attempt) {
      const user = await prove(attempt, 'all')
      const row = audit.row({ ...by(user, attempt), action: 'session.opened' })
      return {
        ...(await sessions.issue(user, { address: attempt.address, client: attempt.client ?? '' }, [row])),
        user,
      }
    },
    prove,
    async changePassword(attempt, next, sessionId) {
      const user = await prove(attempt)
      const hash = await passwords.hash(next)
      await store.write([
        users.setPassword(user.id, hash),
        audit.row({ ...by(user, attempt), action: 'password.changed', target: user.name }),
      ])
      await sessions.endOthers(user.id, sessionId)
    },
  }

  async function prove(
    { username, password, code, address }: LoginAttempt,
    factors: 'password' | 'all' = 'password',
  ): Promise<User> {
    const counted = await backoff.begin(username, address)
    const user = await users.find(username)
    const hash = user && (await users.passwordHash(user.id))
    const verdict =
      hash === undefined
        ? await passwords.verifyNothing(password, await users.someHash())
        : await passwords.verify(password, hash)
    // An unknown name is not written down: it may be a password, typed into the wrong field.
    const refuse = (
      error: 'FLT_AUTH_INVALID' | 'FLT_AUTH_CODE_INVALID' | 'FLT_AUTH_DISABLED',
    ): FleetError => {
      const target = user?.name ?? ''
      audit.refused({ actor: { type: 'nobody', id: '' }, action: 'login.refused', target, address })
      return fleetError(error)
    }
    if (!user || !verdict.isRight) throw refuse('FLT_AUTH_INVALID')
    // Told only to whoever knows the password.
    if (await users.isDisabled(user.id)) throw refuse('FLT_AUTH_DISABLED')
    // The try stays counted until the code is right too, so that codes can't be guessed any faster than passwords.
    if (factors === 'all' && (await second.isOn(user.id))) {
      if (code === undefined) throw fleetError('FLT_AUTH_CODE_REQUIRED')
      if (!(await second.use(user.id, code))) throw refuse('FLT_AUTH_CODE_INVALID')
    }
    await counted.succeeded()
    if (verdict.betterHash !== undefined) await store.write([users.setPassword(user.id, verdict.betterHash)])
    return user
  }
}

function by({ name }: User, { address }: LoginAttempt): Pick<AuditEntry, 'actor' | 'address'> {
  return { actor: { type: 'user', id: name }, address }
}

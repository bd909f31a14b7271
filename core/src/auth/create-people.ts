import type { Audit } from '../audit/create-audit.ts'
import type { ServerConfig } from '../config.ts'
import type { Route } from '../http/routes.ts'
import type { Store } from '../store/store.ts'
import { type ApiTokens, createApiTokens } from './api-tokens.ts'
import { applyUiPassword, type FirstPassword } from './first-password.ts'
import { createLogin } from './login.ts'
import { createLoginBackoff } from './login-backoff.ts'
import { createPasswords } from './passwords.ts'
import { peopleRoutes } from './routes.ts'
import { createOrigins, type Origins } from './same-origin.ts'
import type { Sealer } from './sealer.ts'
import { createSecondFactor } from './second-factor.ts'
import { secondFactorRoutes } from './second-factor-routes.ts'
import { openServerSecrets, type ServerSecrets } from './server-secrets.ts'
import { createSessionCookie } from './session-cookie.ts'
import { sessionRoutes } from './session-routes.ts'
import { createSessions, type Sessions } from './sessions.ts'
import { type Authenticator, createAuthenticator } from './signed-in.ts'
import { apiTokenRoutes } from './token-routes.ts'
import { userRoutes } from './user-routes.ts'
import { createUsers } from './users.ts'

export interface PeopleOptions {
  readonly store: Store
  readonly sealer: Sealer
  readonly audit: Audit
  readonly config: Pick<
    ServerConfig,
    'uiUser' | 'uiPassword' | 'uiPasswordHash' | 'jwtSecret' | 'publicUrls' | 'corsOrigins' | 'tls'
  >
  /** Ends the hourly clean-up. */
  readonly signal: AbortSignal
  /** Told where the clean-up fails; it is tried again an hour later. */
  onSweepError(error: unknown): void
  /** Unix milliseconds; default: the system's clock. */
  now?(): number
}

/** Everything about people: who they are, how they sign in, and what they may not do too often. */
export interface People {
  readonly routes: readonly Route[]
  readonly authenticate: Authenticator
  readonly origins: Origins
  readonly sessions: Sessions
  readonly tokens: ApiTokens
  readonly secrets: ServerSecrets
  /** Made at this start, because there was no user and no password in the settings: print it once. */
  readonly firstPassword: FirstPassword | undefined
}

const sweepEveryMs = 60 * 60_000

/** Applies the settings UI_* and puts the parts together. Throws FLT_SECRET_UNREADABLE with another master key than before. */
export async function createPeople(options: PeopleOptions): Promise<People> {
  const { store, sealer, audit, config, signal, onSweepError, now = Date.now } = options
  const secrets = await openServerSecrets(store, sealer)
  const users = createUsers(store, now)
  const passwords = createPasswords()
  const firstPassword = await applyUiPassword({ config, store, audit, users, passwords, secrets })
  const secret =
    config.jwtSecret === undefined
      ? await secrets.getOrMake('people-sessions')
      : Buffer.from(config.jwtSecret)
  const sessions = createSessions({ store, secret, now })
  const tokens = createApiTokens(store, now)
  const backoff = createLoginBackoff(store, now)
  const origins = createOrigins(config)
  const cookie = createSessionCookie(origins)
  const second = createSecondFactor(store, sealer, now)
  const login = createLogin({ store, users, passwords, backoff, sessions, audit, second })

  const sweep = (): void => {
    Promise.all([sessions.sweep(), backoff.sweep()]).catch(onSweepError)
  }
  const timer = setInterval(sweep, sweepEveryMs)
  timer.unref()
  signal.addEventListener('abort', () => clearInterval(timer), { once: true })
  if (signal.aborted) clearInterval(timer)

  return {
    routes: [
      ...peopleRoutes({ login, sessions, tokens, cookie, origins, audit }),
      ...userRoutes({ store, users, passwords, sessions, tokens, audit, now }),
      ...secondFactorRoutes({ login, users, sessions, second, audit }),
      ...sessionRoutes({ sessions, audit }),
      ...apiTokenRoutes({ store, users, tokens, audit, now }),
    ],
    authenticate: createAuthenticator({ sessions, tokens, cookie, origins }),
    origins,
    sessions,
    tokens,
    secrets,
    firstPassword,
  }
}

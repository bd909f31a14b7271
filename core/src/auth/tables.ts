import type { Role } from '@fleetupdate/sdk'

/** People, their sessions, and the server's own secrets. Times are Unix milliseconds. */
export interface PeopleTables {
  /** `disabledAt` not null: exists, and does not get in. */
  users: { id: string; name: string; role: Role; createdAt: number; disabledAt: number | null }
  /** Apart from `users`, so that no listing can select it. */
  user_secrets: { userId: string; passwordHash: string; changedAt: number }
  sessions: {
    id: string
    userId: string
    kind: 'login'
    createdAt: number
    expiresAt: number
    endedAt: number | null
    /** Where it was opened from, for its owner to recognise: network address and User-Agent, '' where unknown. */
    address: string
    client: string
  }
  /** `role` is the scope: the lesser of it and the user's own counts. */
  api_tokens: {
    id: string
    userId: string
    name: string
    role: Role
    createdAt: number
    expiresAt: number
    endedAt: number | null
  }
  /** Apart from `api_tokens`, so that no listing can select it. SHA-256. */
  api_token_secrets: { tokenId: string; hash: Uint8Array }
  /** `sealed` for the context `totp:<userId>`; `confirmedAt` null: not on yet. Codes up to `lastStep` are used. */
  user_totp: { userId: string; sealed: Uint8Array; confirmedAt: number | null; lastStep: number }
  /** One row per code that was not used; SHA-256. */
  user_recovery_codes: { userId: string; hash: string }
  /** One row per client address, and one per user and address. `evaluated` counts the tries since `windowAt`. */
  login_backoff: {
    key: string
    failures: number
    nextAllowedAt: number
    windowAt: number
    evaluated: number
    triedAt: number
    /** Grows with each write: two writers never overwrite each other. */
    version: number
  }
  /** Encrypted with the master key; the context is `server-secret:<name>`. */
  server_secrets: { name: string; sealed: Uint8Array }
}

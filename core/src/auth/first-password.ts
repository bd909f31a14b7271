import { createHash, timingSafeEqual } from 'node:crypto'
import type { Audit } from '../audit/create-audit.ts'
import type { ServerConfig } from '../config.ts'
import type { Store } from '../store/store.ts'
import type { Passwords } from './passwords.ts'
import { readablePassword } from './readable-password.ts'
import type { ServerSecrets } from './server-secrets.ts'
import type { Users } from './users.ts'

export interface FirstPassword {
  readonly user: string
  /** To be printed once: only its hash is kept. */
  readonly password: string
}

export interface ApplyPasswordOptions {
  readonly config: Pick<ServerConfig, 'uiUser' | 'uiPassword' | 'uiPasswordHash'>
  readonly store: Store
  readonly audit: Audit
  readonly users: Users
  readonly passwords: Passwords
  readonly secrets: ServerSecrets
}

const fingerprintName = 'ui-password-fingerprint'
/** There once was a person: a first password is never made again. */
const setUpName = 'set-up-done'

/**
 * Brings the settings UI_USER and UI_PASSWORD(_HASH) into the store, as an admin. They apply only when they changed since they were last
 * applied, so that a password changed in the dashboard stays. Without them and where there never was a user, a password is made and returned: once
 * in the life of a data folder, whatever becomes of its users. No request ever leads here.
 */
export async function applyUiPassword(options: ApplyPasswordOptions): Promise<FirstPassword | undefined> {
  const { config, store, audit, users, passwords, secrets } = options
  const { uiUser, uiPassword, uiPasswordHash } = config
  const given = uiPasswordHash ?? uiPassword
  if (given === undefined) {
    if (await secrets.get(setUpName)) return undefined
    if (!(await users.isEmpty())) {
      await store.write([secrets.put(setUpName, Buffer.from(setUpName))])
      return undefined
    }
    const password = readablePassword()
    const hash = await passwords.hash(password)
    await store.write([
      ...users.create({ name: uiUser, role: 'admin' }, hash),
      secrets.put(setUpName, Buffer.from(setUpName)),
      audit.row({ actor: { type: 'server', id: '' }, action: 'user.created', target: uiUser }),
    ])
    return { user: uiUser, password }
  }
  const fingerprint = fingerprintOf(uiUser, uiPasswordHash === undefined ? 'plain' : 'hash', given)
  const applied = await secrets.get(fingerprintName)
  if (applied?.length === fingerprint.length && timingSafeEqual(applied, fingerprint)) return undefined
  const hash = uiPasswordHash ?? (await passwords.hash(given))
  const user = await users.find(uiUser)
  const changes = user
    ? [
        users.setPassword(user.id, hash),
        users.setRole(user.id, 'admin'),
        // Who knew the old password is out.
        store.read
          .updateTable('sessions')
          .set({ endedAt: Date.now() })
          .where('userId', '=', user.id)
          .where('endedAt', 'is', null)
          .compile(),
      ]
    : users.create({ name: uiUser, role: 'admin' }, hash)
  await store.write([
    ...changes,
    secrets.put(fingerprintName, fingerprint),
    secrets.put(setUpName, Buffer.from(setUpName)),
    audit.row({ actor: { type: 'server', id: 'UI_PASSWORD' }, action: 'password.changed', target: uiUser }),
  ])
  return undefined
}

/** Kept encrypted with the master key: from the database alone nobody can try passwords against it. */
function fingerprintOf(user: string, kind: 'plain' | 'hash', value: string): Buffer {
  return createHash('sha256').update(`${kind}\0${user}\0${value}`).digest()
}

import { join } from 'node:path'
import type { Log } from '@fleetupdate/sdk'
import { standingId } from '../agents/enrolment-tokens.ts'
import { checkpointsName } from '../audit/checkpoints.ts'
import { createAudit } from '../audit/create-audit.ts'
import { coreMigrations } from '../store/core-migrations.ts'
import { createStore } from '../store/create-store.ts'
import type { Store } from '../store/store.ts'

export interface Settled {
  /** Sessions of people that were ended. */
  readonly sessions: number
  /** Open enrolment tokens that were ended. */
  readonly enrolmentTokens: number
}

export interface SettleOptions {
  readonly masterKey: Uint8Array
  /** The one that was restored. */
  readonly backup: { readonly madeAt: string; readonly version: string }
  readonly actor: string
  readonly now: () => number
}

/**
 * What must not come back to life with an old database: sessions that were ended since, and enrolment tokens that were used since. Says
 * in the audit that a restore was done. Opening the store this way also shows whether this program can use it (FLT_STORE_MIGRATION).
 */
export async function settleRestored(dir: string, options: SettleOptions): Promise<Settled> {
  const { masterKey, backup, actor, now } = options
  let failure: Error | undefined
  const store = await createStore({ dir, migrations: coreMigrations, onFatal: (error) => (failure = error) })
  try {
    const checkpoints = join(dir, checkpointsName)
    const audit = await createAudit({ store, masterKey, checkpoints, log: silent, now })
    const [ended, closed] = await store.write([
      endSessions(store, now()),
      endTokens(store, now()),
      forgetTokenSecrets(store),
      audit.row({
        actor: { type: 'console', id: actor },
        action: 'backup.restored',
        details: { madeAt: backup.madeAt, version: backup.version },
      }),
    ])
    await audit.dispose()
    if (failure) throw failure
    return { sessions: ended?.changes ?? 0, enrolmentTokens: closed?.changes ?? 0 }
  } finally {
    await store.close()
  }
}

function endSessions(store: Store, nowMs: number) {
  return store.read
    .updateTable('sessions')
    .set({ endedAt: nowMs })
    .where('endedAt', 'is', null)
    .where('expiresAt', '>', nowMs)
    .compile()
}

function endTokens(store: Store, nowMs: number) {
  return store.read
    .updateTable('enrolment_tokens')
    .set({ usedAt: nowMs })
    .where('id', '!=', standingId)
    .where('usedAt', 'is', null)
    .where('expiresAt', '>', nowMs)
    .compile()
}

function forgetTokenSecrets(store: Store) {
  return store.read
    .deleteFrom('enrolment_token_secrets')
    .where('id', 'in', (query) =>
      query.selectFrom('enrolment_tokens').select('id').where('usedAt', 'is not', null),
    )
    .compile()
}

const nothing = (): void => undefined
/** What it would warn of, the file of checkpoints that is older than it was, is the very thing that is done here. */
const silent: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing }

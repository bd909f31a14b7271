import { createHash } from 'node:crypto'
import { canonicalJson } from '@fleetupdate/sdk/protocol'
import { fleetError } from '../errors.ts'
import type { Store, WriteStatement } from '../store/store.ts'

/** One submit that may come twice. */
export interface IdempotentRequest {
  /** `user:<name>` or `plugin:<id>`. */
  readonly subject: string
  readonly key: string
  readonly hash: string
}

export interface Made {
  readonly commandId: string | null
  readonly batchId: string | null
}

/** Remembers for seven days what each Idempotency-Key made. */
export interface Idempotency {
  /** What this request made before; throws FLT_IDEMPOTENCY_CONFLICT where the key was used with another body. */
  find(request: IdempotentRequest): Promise<Made | undefined>
  /** Takes the key; its batch fails with FLT_STORE_CONFLICT where somebody was faster: then find again. Put it first. */
  statement(request: IdempotentRequest, made: Made): WriteStatement
  prune(): Promise<void>
}

const keptMs = 7 * 24 * 3_600_000

export function createIdempotency({ store, now }: { store: Store; now: () => number }): Idempotency {
  return {
    async find({ subject, key, hash }) {
      const row = await store.read
        .selectFrom('idempotency_keys')
        .selectAll()
        .where('subject', '=', subject)
        .where('key', '=', key)
        .where('createdAt', '>', now() - keptMs)
        .executeTakeFirst()
      if (row && row.requestHash !== hash) throw fleetError('FLT_IDEMPOTENCY_CONFLICT')
      return row
    },
    statement({ subject, key, hash }, { commandId, batchId }) {
      const values = { requestHash: hash, commandId, batchId, createdAt: now() }
      const { sql, parameters } = store.read
        .insertInto('idempotency_keys')
        .values({ subject, key, ...values })
        .onConflict((conflict) =>
          conflict
            .columns(['subject', 'key'])
            .doUpdateSet(values)
            .where('idempotency_keys.createdAt', '<=', now() - keptMs),
        )
        .compile()
      return { sql, parameters, expectedRows: 1 }
    },
    async prune() {
      const old = store.read.deleteFrom('idempotency_keys').where('createdAt', '<=', now() - keptMs)
      await store.write([old.compile()])
    },
  }
}

/** SHA-256 of a request's meaning: the order of its members does not matter. */
export function requestHash(request: unknown): string {
  return createHash('sha256').update(canonicalJson(request)).digest('hex')
}

import { randomBytes } from 'node:crypto'
import type { Sealer } from '../auth/sealer.ts'
import type { Store, WriteStatement } from '../store/store.ts'

export interface NewToken {
  /** `fle_<id>_<secret>`; shown once. */
  readonly token: string
  readonly expiresAtMs: number
  /** Make it real; part of the caller's batch. */
  readonly statements: readonly WriteStatement[]
}

export interface OpenToken {
  /** The only agent id it enrols; null: any that was never taken. */
  readonly agentId: string | null
  readonly secret: Buffer
}

/** Secrets that enrol one agent each, for an hour. */
export interface EnrolmentTokens {
  create(bound: { readonly agentId: string | null }): NewToken
  /** Undefined where it is unknown, used or too old. */
  open(id: string): Promise<OpenToken | undefined>
  /** Uses it up; the batch fails with FLT_STORE_CONFLICT where somebody was faster. */
  useStatements(id: string): readonly WriteStatement[]
}

const lifeMs = 3_600_000

export function createEnrolmentTokens(deps: {
  readonly store: Store
  readonly sealer: Sealer
  readonly now: () => number
}): EnrolmentTokens {
  const { store, sealer, now } = deps
  return {
    create({ agentId }) {
      const id = randomBytes(8).toString('hex')
      const secret = randomBytes(24).toString('hex')
      const expiresAtMs = now() + lifeMs
      const statements: WriteStatement[] = [
        store.read
          .insertInto('enrolment_tokens')
          .values({ id, agentId, createdAt: now(), expiresAt: expiresAtMs, usedAt: null })
          .compile(),
        store.read
          .insertInto('enrolment_token_secrets')
          .values({ id, sealed: sealer.seal(Buffer.from(secret), contextOf(id)) })
          .compile(),
      ]
      // A second reset makes the token of the first one worthless.
      if (agentId !== null)
        statements.unshift(
          store.read
            .updateTable('enrolment_tokens')
            .set({ usedAt: now() })
            .where('agentId', '=', agentId)
            .where('usedAt', 'is', null)
            .compile(),
        )
      return { token: `fle_${id}_${secret}`, expiresAtMs, statements }
    },
    async open(id) {
      const row = await store.read
        .selectFrom('enrolment_tokens')
        .innerJoin('enrolment_token_secrets', 'enrolment_token_secrets.id', 'enrolment_tokens.id')
        .select(['agentId', 'sealed'])
        .where('enrolment_tokens.id', '=', id)
        .where('usedAt', 'is', null)
        .where('expiresAt', '>', now())
        .executeTakeFirst()
      return row && { agentId: row.agentId, secret: sealer.open(row.sealed, contextOf(id)) }
    },
    useStatements(id) {
      const use = store.read
        .updateTable('enrolment_tokens')
        .set({ usedAt: now() })
        .where('id', '=', id)
        .where('usedAt', 'is', null)
        .where('expiresAt', '>', now())
        .compile()
      const forget = store.read.deleteFrom('enrolment_token_secrets').where('id', '=', id).compile()
      return [{ sql: use.sql, parameters: use.parameters, expectedRows: 1 }, forget]
    },
  }
}

function contextOf(id: string): string {
  return `enrolment-token:${id}`
}

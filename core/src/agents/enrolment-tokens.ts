import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { Sealer } from '../auth/sealer.ts'
import type { Store, WriteStatement } from '../store/store.ts'

export interface TokenTerms {
  /** The only id it enrols; null: any that was never taken. A bound token enrols once. */
  readonly agentId: string | null
  /** How many agents it enrols; default 1. */
  readonly uses?: number
  /** Default: an hour. */
  readonly lifeMs?: number
  /** Who made it, as people see it. */
  readonly createdBy: string
  readonly note?: string
}

export interface NewToken {
  readonly id: string
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

/** Secrets that enrol a limited number of agents for a limited time. */
export interface EnrolmentTokens {
  create(terms: TokenTerms): NewToken
  /** Undefined where it is unknown, used up, ended or too old. */
  open(id: string): Promise<OpenToken | undefined>
  /** Uses it once; the batch fails with FLT_STORE_CONFLICT where others were faster. */
  useStatements(id: string): readonly WriteStatement[]
  /** Ends it; the batch fails with FLT_STORE_CONFLICT where it was not open any more. */
  endStatements(id: string): readonly WriteStatement[]
  /** Ends all that are bound to this agent. */
  endBound(agentId: string): WriteStatement
}

const defaultLifeMs = 3_600_000

export function createEnrolmentTokens(deps: {
  readonly store: Store
  readonly sealer: Sealer
  readonly now: () => number
}): EnrolmentTokens {
  const { store, sealer, now } = deps
  const endBound = (agentId: string): WriteStatement =>
    store.read
      .updateTable('enrolment_tokens')
      .set({ usedAt: now() })
      .where('agentId', '=', agentId)
      .where('usedAt', 'is', null)
      .compile()
  /** The secret goes with the token. */
  const forget = (id: string): WriteStatement =>
    store.read
      .deleteFrom('enrolment_token_secrets')
      .where('id', 'in', (query) =>
        query
          .selectFrom('enrolment_tokens')
          .select('id')
          .where('id', '=', id)
          .where('usedAt', 'is not', null),
      )
      .compile()
  const once = ({ sql: text, parameters }: WriteStatement): WriteStatement => ({
    sql: text,
    parameters,
    expectedRows: 1,
  })
  return {
    create({ agentId, uses = 1, lifeMs = defaultLifeMs, createdBy, note = '' }) {
      const id = randomBytes(8).toString('hex')
      const secret = randomBytes(24).toString('hex')
      const expiresAtMs = now() + lifeMs
      const terms = { uses: agentId === null ? uses : 1, used: 0, createdBy, note }
      const row = { id, agentId, createdAt: now(), expiresAt: expiresAtMs, usedAt: null, ...terms }
      const sealed = sealer.seal(Buffer.from(secret), contextOf(id))
      const statements = [
        store.read.insertInto('enrolment_tokens').values(row).compile(),
        store.read.insertInto('enrolment_token_secrets').values({ id, sealed }).compile(),
      ]
      // A second one makes the first one worthless.
      const first = agentId === null ? [] : [endBound(agentId)]
      return { id, token: `fle_${id}_${secret}`, expiresAtMs, statements: [...first, ...statements] }
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
        .set({
          used: sql`"used" + 1`,
          usedAt: sql`case when "used" + 1 >= "uses" then ${now()} end`,
        })
        .where('id', '=', id)
        .where('usedAt', 'is', null)
        .where('expiresAt', '>', now())
        .compile()
      return [once(use), forget(id)]
    },
    endStatements(id) {
      const end = store.read
        .updateTable('enrolment_tokens')
        .set({ usedAt: now() })
        .where('id', '=', id)
        .where('usedAt', 'is', null)
        .compile()
      return [once(end), forget(id)]
    },
    endBound,
  }
}

function contextOf(id: string): string {
  return `enrolment-token:${id}`
}

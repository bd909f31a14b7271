import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { Sealer } from '../auth/sealer.ts'
import type { Store, WriteStatement } from '../store/store.ts'

export interface TokenTerms {
  /** The only id it enrols; null: any that was never taken. A bound token enrols once. */
  readonly agentId: string | null
  /** Which new ids it enrols, `*` for any signs; default: all. */
  readonly idPattern?: string | null
  /** How many agents it enrols; default 1. */
  readonly uses?: number
  /** Whoever enrols with it waits until an admin approves. */
  readonly approval?: boolean
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
  /** Whether this id is among those it may enrol at all. */
  enrols(agentId: string): boolean
  readonly approval: boolean
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
  /** Removes those that were used up, ended or too old for longer than this. */
  sweepStatements(keepMs: number): readonly WriteStatement[]
  /** Ends all that are bound to this agent. */
  endBound(agentId: string): WriteStatement
  /** Makes the standing token, SERVER_PSK, good again. */
  reopenStanding(terms: { readonly approval: boolean }): WriteStatement
}

const defaultLifeMs = 3_600_000
/** The secret id, and the token's id, of SERVER_PSK. */
export const standingId = 'psk'
/** The year 9999. */
const never = 253_402_300_799_000

export function createEnrolmentTokens(deps: {
  readonly store: Store
  readonly sealer: Sealer
  /** UTF-8 bytes of SERVER_PSK; undefined: there is no standing token. */
  readonly psk?: Uint8Array | undefined
  readonly now: () => number
}): EnrolmentTokens {
  const { store, sealer, psk, now } = deps
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
    create({ agentId, idPattern = null, uses = 1, approval = false, lifeMs = defaultLifeMs, ...more }) {
      const { createdBy, note = '' } = more
      const id = randomBytes(8).toString('hex')
      const secret = randomBytes(24).toString('hex')
      const expiresAtMs = now() + lifeMs
      const terms = { uses: agentId === null ? uses : 1, used: 0, createdBy, note }
      const limits = { agentId, idPattern, approval: approval ? 1 : 0 }
      const row = { id, ...limits, createdAt: now(), expiresAt: expiresAtMs, usedAt: null, ...terms }
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
        .leftJoin('enrolment_token_secrets', 'enrolment_token_secrets.id', 'enrolment_tokens.id')
        .select(['agentId', 'idPattern', 'approval', 'sealed'])
        .where('enrolment_tokens.id', '=', id)
        .where('usedAt', 'is', null)
        .where('expiresAt', '>', now())
        .executeTakeFirst()
      const secret = id === standingId ? psk : row?.sealed && sealer.open(row.sealed, contextOf(id))
      if (!row || !secret) return undefined
      const { agentId: only, idPattern } = row
      return {
        agentId: only,
        approval: row.approval === 1,
        secret: Buffer.from(secret),
        enrols: (agentId) =>
          (only ?? agentId) === agentId && (idPattern === null || matchesPattern(idPattern, agentId)),
      }
    },
    useStatements(id) {
      const use = store.read
        .updateTable('enrolment_tokens')
        .set({
          used: sql`"used" + 1`,
          usedAt: sql`case when "uses" > 0 and "used" + 1 >= "uses" then ${now()} end`,
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
    reopenStanding({ approval }) {
      const terms = { usedAt: null, approval: approval ? 1 : 0 }
      return once(
        store.read.updateTable('enrolment_tokens').set(terms).where('id', '=', standingId).compile(),
      )
    },
    sweepStatements(keepMs) {
      const before = now() - keepMs
      const old = store.read
        .deleteFrom('enrolment_tokens')
        .where('id', '!=', standingId)
        .where((eb) => eb.or([eb('usedAt', '<', before), eb('expiresAt', '<', before)]))
      const secrets = store.read
        .deleteFrom('enrolment_token_secrets')
        .where('id', 'not in', (query) => query.selectFrom('enrolment_tokens').select('id'))
      return [old.compile(), secrets.compile()]
    },
  }
}

/** Makes SERVER_PSK a token like others, once: whoever turned it off finds it off after a restart. */
export function standingToken(store: Store, nowMs: number): WriteStatement {
  const limits = { agentId: null, idPattern: null, approval: 0, uses: 0, used: 0 }
  const row = { id: standingId, ...limits, createdAt: nowMs, expiresAt: never, usedAt: null }
  return store.read
    .insertInto('enrolment_tokens')
    .values({ ...row, createdBy: '', note: 'SERVER_PSK' })
    .onConflict((conflict) => conflict.doNothing())
    .compile()
}

/** `web-*`: an asterisk stands for any signs. The schema of tokens allows four at most, so that this stays quick. */
export function matchesPattern(pattern: string, id: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.]/g, '\\.'))
  return new RegExp(`^${parts.join('.*')}$`).test(id)
}

function contextOf(id: string): string {
  return `enrolment-token:${id}`
}

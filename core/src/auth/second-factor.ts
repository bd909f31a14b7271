import { createHash, randomBytes, randomInt } from 'node:crypto'
import { FleetError } from '@fleetupdate/sdk'
import { fleetError } from '../errors.ts'
import type { Store, WriteStatement } from '../store/store.ts'
import type { Sealer } from './sealer.ts'
import { enrolmentUri, stepOf } from './totp.ts'
import type { User } from './users.ts'

/** Codes of an authenticator app beside the password, and recovery codes for when it is lost. */
export interface SecondFactor {
  isOn(userId: string): Promise<boolean>
  /** Makes a secret that counts once it is confirmed. Throws FLT_AUTH_CODE_ON where one counts already. */
  begin(user: User): Promise<{ readonly secret: string; readonly uri: string }>
  /** Turns it on, with `more` in the same batch; answers the recovery codes. Throws FLT_AUTH_CODE_INVALID. */
  confirm(userId: string, code: string, more: readonly WriteStatement[]): Promise<readonly string[]>
  /** Uses a code or recovery code up; each is right once alone. */
  use(userId: string, code: string): Promise<boolean>
  /** Turns it off. */
  removal(userId: string): readonly WriteStatement[]
}

const recoveryCodes = 10
const signs = 'abcdefghjkmnpqrstuvwxyz23456789'

/** The secret is encrypted with the master key; of recovery codes only hashes are kept. */
export function createSecondFactor(store: Store, sealer: Sealer, now: () => number): SecondFactor {
  const { read } = store
  const load = async (userId: string) =>
    read.selectFrom('user_totp').selectAll().where('userId', '=', userId).executeTakeFirst()
  /** False where the row is not as expected any more: somebody else was faster. */
  const attempt = async (statements: readonly WriteStatement[]): Promise<boolean> => {
    try {
      await store.write(statements)
      return true
    } catch (error) {
      if (error instanceof FleetError && error.code === 'FLT_STORE_CONFLICT') return false
      throw error
    }
  }
  return {
    isOn: async (userId) => typeof (await load(userId))?.confirmedAt === 'number',
    async begin({ id, name }) {
      const row = await load(id)
      if (typeof row?.confirmedAt === 'number') throw fleetError('FLT_AUTH_CODE_ON')
      const secret = randomBytes(20)
      const fresh = { sealed: sealer.seal(secret, contextOf(id)), confirmedAt: null, lastStep: 0 }
      const insert = read.insertInto('user_totp').values({ userId: id, ...fresh })
      await store.write([
        insert.onConflict((conflict) => conflict.column('userId').doUpdateSet(fresh)).compile(),
      ])
      return enrolmentUri(secret, name)
    },
    async confirm(userId, code, more) {
      const row = await load(userId)
      if (typeof row?.confirmedAt === 'number') throw fleetError('FLT_AUTH_CODE_ON')
      const step = row && stepOf(sealer.open(row.sealed, contextOf(userId)), code, now())
      if (step === undefined) throw fleetError('FLT_AUTH_CODE_INVALID')
      const codes = Array.from({ length: recoveryCodes }, newRecoveryCode)
      const turnOn = read
        .updateTable('user_totp')
        .set({ confirmedAt: now(), lastStep: step })
        .where('userId', '=', userId)
        .where('confirmedAt', 'is', null)
      const rows = codes.map((each) => ({ userId, hash: hashOf(userId, each) }))
      const isDone = await attempt([
        once(turnOn.compile()),
        read.deleteFrom('user_recovery_codes').where('userId', '=', userId).compile(),
        read.insertInto('user_recovery_codes').values(rows).compile(),
        ...more,
      ])
      if (!isDone) throw fleetError('FLT_AUTH_CODE_ON')
      return codes
    },
    async use(userId, code) {
      const row = await load(userId)
      if (typeof row?.confirmedAt !== 'number') return false
      const step = stepOf(sealer.open(row.sealed, contextOf(userId)), code, now())
      if (step === undefined) {
        const used = read
          .deleteFrom('user_recovery_codes')
          .where('userId', '=', userId)
          .where('hash', '=', hashOf(userId, code.trim().toLowerCase()))
        return attempt([once(used.compile())])
      }
      const use = read
        .updateTable('user_totp')
        .set({ lastStep: step })
        .where('userId', '=', userId)
        .where('lastStep', '<', step)
      return attempt([once(use.compile())])
    },
    removal: (userId) => [
      read.deleteFrom('user_totp').where('userId', '=', userId).compile(),
      read.deleteFrom('user_recovery_codes').where('userId', '=', userId).compile(),
    ],
  }
}

function once({ sql, parameters }: WriteStatement): WriteStatement {
  return { sql, parameters, expectedRows: 1 }
}

/** Four groups of four out of 31 signs: 79 bits. */
function newRecoveryCode(): string {
  const group = (): string => Array.from({ length: 4 }, () => signs[randomInt(signs.length)]).join('')
  return [group(), group(), group(), group()].join('-')
}

function hashOf(userId: string, code: string): string {
  return createHash('sha256').update(`${userId}\0${code}`).digest('hex')
}

function contextOf(userId: string): string {
  return `totp:${userId}`
}

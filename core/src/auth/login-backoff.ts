import { isIPv6 } from 'node:net'
import type { Selectable } from 'kysely'
import { fleetError } from '../errors.ts'
import type { Store } from '../store/store.ts'
import type { PeopleTables } from './tables.ts'

/** Slows guessing down. Kept in the store: neither a restart nor another replica gives new tries. */
export interface LoginBackoff {
  /**
   * Counts one try as failed before it is evaluated, so that tries at the same moment count too.
   * Throws FLT_AUTH_SLOW_DOWN (details.seconds) where it may not be evaluated now.
   */
  begin(user: string, address: string): Promise<Try>
  /** Removes what is older than a day. */
  sweep(): Promise<void>
}

export interface Try {
  /** Takes the count back, because the password was right. */
  succeeded(): Promise<void>
}

const freeFailures = 5
const longestDelayMs = 15 * 60_000
const windowMs = 60 * 60_000
/** Evaluated tries per address within an hour, whatever the user. */
const evaluatedPerWindow = 30
const keepMs = 24 * 60 * 60_000
const conflictTries = 5

type Row = Selectable<PeopleTables['login_backoff']>

/** One per server; `now` is the clock in Unix milliseconds. */
export function createLoginBackoff(store: Store, now: () => number = Date.now): LoginBackoff {
  // One after the other: a flood of refused tries costs one read each and never a write.
  let last: Promise<unknown> = Promise.resolve()
  return {
    begin(user, address) {
      const place = placeOf(address)
      const keys = [`address ${place}`, `user ${place} ${user}`]
      const turn = last.then(() => insist(() => reserve(keys)))
      last = turn.catch(() => {})
      return turn.then(() => ({ succeeded: () => insist(() => giveBack(keys)) }))
    },
    async sweep() {
      await store.write([
        store.read
          .deleteFrom('login_backoff')
          .where('triedAt', '<', now() - keepMs)
          .compile(),
      ])
    },
  }

  async function reserve(keys: readonly string[]): Promise<void> {
    const at = now()
    const rows = await load(keys, at)
    const allowedAt = Math.max(...rows.map(allowedFrom))
    if (allowedAt > at) {
      const seconds = Math.ceil((allowedAt - at) / 1000)
      throw fleetError('FLT_AUTH_SLOW_DOWN', { seconds }, { details: { seconds } })
    }
    await save(
      rows.map((row) => ({
        ...row,
        failures: row.failures + 1,
        evaluated: row.evaluated + 1,
        nextAllowedAt: at + delayAfter(row.failures + 1),
        triedAt: at,
      })),
    )
  }

  async function giveBack(keys: readonly string[]): Promise<void> {
    const rows = await load(keys, now())
    await save(
      rows.map((row) => {
        const isAddress = row.key.startsWith('address ')
        const failures = isAddress ? Math.max(0, row.failures - 1) : 0
        return { ...row, failures, evaluated: Math.max(0, row.evaluated - 1), nextAllowedAt: 0 }
      }),
    )
  }

  async function load(keys: readonly string[], at: number): Promise<Row[]> {
    const stored = await store.read.selectFrom('login_backoff').selectAll().where('key', 'in', keys).execute()
    return keys.map((key) => {
      const row = stored.find((each) => each.key === key)
      if (!row)
        return { key, failures: 0, nextAllowedAt: 0, windowAt: at, evaluated: 0, triedAt: at, version: 0 }
      const failures = at - row.triedAt > windowMs ? 0 : row.failures
      return at - row.windowAt >= windowMs
        ? { ...row, failures, windowAt: at, evaluated: 0 }
        : { ...row, failures }
    })
  }

  async function save(rows: readonly Row[]): Promise<void> {
    await store.write(
      rows.map(({ version, key, ...rest }) => {
        const next = { ...rest, version: version + 1 }
        const query =
          version === 0
            ? store.read.insertInto('login_backoff').values({ key, ...next })
            : store.read
                .updateTable('login_backoff')
                .set(next)
                .where('key', '=', key)
                .where('version', '=', version)
        const { sql, parameters } = query.compile()
        return { sql, parameters, expectedRows: 1 }
      }),
    )
  }
}

/** A name at an address waits longer after each failure; an address as a whole, behind which many people may be, only has its number an hour. */
function allowedFrom(row: Row): number {
  if (!row.key.startsWith('address ')) return row.nextAllowedAt
  return row.evaluated >= evaluatedPerWindow ? row.windowAt + windowMs : 0
}

/** 0 for the first five failures, then 1 s, 2 s, 4 s … up to 15 minutes. */
function delayAfter(failures: number): number {
  if (failures <= freeFailures) return 0
  return Math.min(longestDelayMs, 1000 * 2 ** Math.min(failures - freeFailures - 1, 20))
}

/** One household is one IPv4 address, or one /64 of IPv6. */
function placeOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  if (!isIPv6(address)) return address
  const [head = '', tail] = (address.split('%')[0] ?? '').split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const middle =
    tail === undefined ? [] : Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0')
  return [...left, ...middle, ...right]
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}

/** Another replica may have written the same row in between. */
async function insist(task: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await task()
    } catch (error) {
      const isConflict = error instanceof Error && 'code' in error && error.code === 'FLT_STORE_CONFLICT'
      if (!isConflict || tries >= conflictTries) throw error
    }
  }
}

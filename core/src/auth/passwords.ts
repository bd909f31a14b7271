import { randomBytes } from 'node:crypto'
import argon2 from 'argon2'
import bcrypt from 'bcryptjs'
import { fleetError } from '../errors.ts'
import { createWorkQueue } from './work-queue.ts'

export interface Verdict {
  readonly isRight: boolean
  /** A fresh hash to keep, where the password is right and the stored hash is bcrypt or weaker than today's. */
  readonly betterHash?: string
}

/** Hashes and verifies passwords, two at a time; beyond 64 waiting FLT_AUTH_SLOW_DOWN, so that logins can't eat the server. */
export interface Passwords {
  /** argon2id, with its parameters in the text. */
  hash(password: string): Promise<string>
  verify(password: string, storedHash: string): Promise<Verdict>
  /** Takes as long as a wrong password for a hash like this one (default: like today's), and is never right. */
  verifyNothing(password: string, likeHash?: string): Promise<Verdict>
}

// 19 MiB, two passes: OWASP's first choice, and two at once stay below 40 MiB.
const options = { type: argon2.argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

/** Starts the queue of one server. */
export function createPasswords(): Passwords {
  const queue = createWorkQueue({
    parallel: 2,
    waiting: 64,
    refuse: () => fleetError('FLT_AUTH_SLOW_DOWN', { seconds: 1 }, { details: { seconds: 1 } }),
  })
  const nobodys = argon2.hash(randomBytes(32), options)
  // It is awaited where it is needed; a failure is reported there.
  nobodys.catch(() => {})
  const passwords: Passwords = {
    hash: (password) => queue.run(() => argon2.hash(password, options)),
    verify(password, storedHash) {
      const bcryptHash = asBcrypt(storedHash)
      return queue.run(async () => {
        const isRight =
          bcryptHash === undefined
            ? await argon2.verify(storedHash, password)
            : await bcrypt.compare(password, bcryptHash)
        if (!isRight) return { isRight }
        const isGood = bcryptHash === undefined && !argon2.needsRehash(storedHash, options)
        return isGood ? { isRight } : { isRight, betterHash: await argon2.hash(password, options) }
      })
    },
    async verifyNothing(password, likeHash) {
      const hash = likeHash ?? (await nobodys)
      const bcryptHash = asBcrypt(hash)
      await queue.run(() =>
        bcryptHash === undefined ? argon2.verify(hash, password) : bcrypt.compare(password, bcryptHash),
      )
      return { isRight: false }
    },
  }
  return passwords
}

/** Whether a text can be kept as a password hash: argon2id, or bcrypt, also with the prefix `bcrypt:`. */
export function isPasswordHash(text: string): boolean {
  return /^\$argon2id\$v=19\$[^$]+\$[^$]+\$[^$]+$/.test(text) || asBcrypt(text) !== undefined
}

/** The bcrypt hash in a text, without the prefix `bcrypt:`. */
function asBcrypt(text: string): string | undefined {
  return /^(?:bcrypt:)?(\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53})$/.exec(text)?.[1]
}

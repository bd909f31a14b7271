import { randomBytes } from 'node:crypto'
import type { WriteStatement } from '@fleetupdate/sdk'
import type { Store } from '../store/store.ts'
import type { Sealer } from './sealer.ts'

/** The server's own secrets, encrypted with the master key in the store. */
export interface ServerSecrets {
  get(name: string): Promise<Buffer | undefined>
  /** The statement that keeps a secret, for the caller's own batch. */
  put(name: string, plain: Uint8Array): WriteStatement
  /** The secret, made of 32 random bytes where there is none yet. Two servers that start at once agree on one. */
  getOrMake(name: string): Promise<Buffer>
}

/** Opens them. Throws FLT_SECRET_UNREADABLE where the store was written with another master key. */
export async function openServerSecrets(store: Store, sealer: Sealer): Promise<ServerSecrets> {
  const secrets: ServerSecrets = {
    async get(name) {
      const row = await store.read
        .selectFrom('server_secrets')
        .select('sealed')
        .where('name', '=', name)
        .executeTakeFirst()
      return row && sealer.open(row.sealed, contextOf(name))
    },
    put(name, plain) {
      const sealed = sealer.seal(plain, contextOf(name))
      return store.read
        .insertInto('server_secrets')
        .values({ name, sealed })
        .onConflict((conflict) => conflict.column('name').doUpdateSet({ sealed }))
        .compile()
    },
    async getOrMake(name) {
      const old = await secrets.get(name)
      if (old) return old
      const sealed = sealer.seal(randomBytes(32), contextOf(name))
      const insert = store.read.insertInto('server_secrets').values({ name, sealed })
      await store.write([insert.onConflict((conflict) => conflict.doNothing()).compile()])
      const made = await secrets.get(name)
      if (!made) throw new Error(`The secret "${name}" vanished while it was made.`)
      return made
    },
  }
  await secrets.getOrMake('master-key-check')
  return secrets
}

function contextOf(name: string): string {
  return `server-secret:${name}`
}

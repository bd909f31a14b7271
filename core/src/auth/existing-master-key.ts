import { fleetError } from '../errors.ts'
import type { Store } from '../store/store.ts'
import { openMasterKey, readMasterKey } from './master-key.ts'

interface Places {
  readonly masterKeyFile: string
  readonly dataDir: string
}

/** The master key of data that exists. Throws FLT_MASTER_KEY_MISSING; makes nothing. */
export async function requireMasterKey({ masterKeyFile, dataDir }: Places): Promise<Buffer> {
  const key = await readMasterKey(masterKeyFile)
  if (!key) throw fleetError('FLT_MASTER_KEY_MISSING', { file: masterKeyFile, path: dataDir })
  return key
}

/**
 * The master key of a store. A new one is made only for a store without secrets: a lost key must be said, not replaced
 * (FLT_MASTER_KEY_MISSING).
 */
export async function openMasterKeyOf(store: Store, places: Places): Promise<Buffer> {
  const secret = await store.read.selectFrom('server_secrets').select('name').limit(1).executeTakeFirst()
  return secret ? requireMasterKey(places) : openMasterKey(places.masterKeyFile)
}

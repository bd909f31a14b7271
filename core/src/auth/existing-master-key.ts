import { fleetError } from '../errors.ts'
import type { Store } from '../store/store.ts'
import { openMasterKey, readMasterKey } from './master-key.ts'

/**
 * The master key of a store. A new one is made only for a store without secrets: a lost key must be said, not replaced
 * (FLT_MASTER_KEY_MISSING).
 */
export async function openMasterKeyOf(
  store: Store,
  { masterKeyFile, dataDir }: { readonly masterKeyFile: string; readonly dataDir: string },
): Promise<Buffer> {
  const known = await readMasterKey(masterKeyFile)
  if (known) return known
  const secret = await store.read.selectFrom('server_secrets').select('name').limit(1).executeTakeFirst()
  if (secret) throw fleetError('FLT_MASTER_KEY_MISSING', { file: masterKeyFile, path: dataDir })
  return openMasterKey(masterKeyFile)
}

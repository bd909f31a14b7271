import { createPrivateKey } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createPublisherKey, type PublisherKey, publicKeyOf } from '../bundle/index.ts'

/** The key that signs what is tried out; kept with the data it was tried in, good for nothing else. */
export async function devKey(dataDir: string): Promise<PublisherKey> {
  const file = join(dataDir, 'development.key')
  const known = await readFile(file).catch(() => undefined)
  if (known !== undefined) {
    const privateKey = createPrivateKey(known)
    return { privateKey, publicKey: publicKeyOf(privateKey) }
  }
  const key = createPublisherKey()
  await writeFile(file, key.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  return key
}

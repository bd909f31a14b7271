import { createPrivateKey } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { type PublisherKey, publicKeyOf } from '../bundle/index.ts'
import { cliError } from './errors.ts'
import type { Terminal } from './verb.ts'

/** Reads a publisher's private key. Throws FLT_CLI_KEY_INVALID. */
export async function readPublisherKey(file: string): Promise<PublisherKey> {
  try {
    const privateKey = createPrivateKey(await readFile(file))
    return { privateKey, publicKey: publicKeyOf(privateKey) }
  } catch (error) {
    throw cliError('FLT_CLI_KEY_INVALID', {
      path: file,
      problem: error instanceof Error ? error.message : String(error),
    })
  }
}

/** Where the key is kept unless `--out` or `--key` says otherwise. */
export function defaultKeyFile(env: Terminal['env']): string {
  return join(env.XDG_CONFIG_HOME ?? join(env.HOME ?? homedir(), '.config'), 'fleetupdate', 'publisher.key')
}

import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { createPublisherKey, keyIdOf } from '../bundle/index.ts'
import { cliError } from './errors.ts'
import { defaultKeyFile } from './publisher-key.ts'
import { readArguments, type Verb } from './verb.ts'

const usage = 'fleetupdate plugin keygen [--out FILE]'

/** Makes the key that signs a publisher's plugins; refuses to put it where it could be committed, or over another. */
export const keygenVerb: Verb = {
  usage,
  summary: 'Makes a publisher key (Ed25519). The private half never leaves this machine.',
  async run(args, { cwd, env, print }) {
    const out = readArguments(usage, args, { out: 'text' }).text('out')
    const file = out === undefined ? defaultKeyFile(env) : resolve(cwd, out)
    if (existsSync(file)) throw cliError('FLT_CLI_EXISTS', { path: file })
    const repository = repositoryAround(dirname(file))
    if (repository !== undefined) throw cliError('FLT_CLI_KEY_IN_REPOSITORY', { path: file, repository })
    const { privateKey, publicKey } = createPublisherKey()
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' })
    await writeFile(file, pem, { mode: 0o600, flag: 'wx' })
    print(`Private key  ${file}  (keep a copy in a safe place)`)
    print(`Key id       ${keyIdOf(publicKey)}`)
    print(`Public key   ${publicKey}  (for the trust file of the hosts)`)
    return 0
  },
}

function repositoryAround(folder: string): string | undefined {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, '.git'))) return at
    if (dirname(at) === at) return undefined
  }
}

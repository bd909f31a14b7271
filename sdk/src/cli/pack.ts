import { writeFile } from 'node:fs/promises'
import { relative, resolve } from 'node:path'
import { keyIdOf, packFolder, readVersion } from '../bundle/index.ts'
import { checkPlugin, readSubject } from '../check/check-plugin.ts'
import { cliError } from './errors.ts'
import { exitCodes } from './exit-codes.ts'
import { defaultKeyFile, readPublisherKey } from './publisher-key.ts'
import { readArguments, type Verb } from './verb.ts'

const usage = 'fleetupdate plugin pack [FOLDER] [--key FILE] [--out FILE] [--counter N] [--expires DATE]'
const yearMs = 365 * 86_400_000
const dayMs = 86_400_000

/** Packs a built, sound plugin into one signed file. Equal content, key, counter and expiry give equal bytes. */
export const packVerb: Verb = {
  usage,
  summary: 'Packs a built plugin into one signed file: ID-VERSION.fleetplugin.',
  async run(args, { cwd, env, print }) {
    const given = readArguments(usage, args, { key: 'text', out: 'text', counter: 'text', expires: 'text' })
    const subject = await readSubject(resolve(cwd, given.positionals[0] ?? '.'))
    const findings = await checkPlugin(subject)
    for (const { rule, problem } of findings) print(`${rule}: ${problem}`)
    if (findings.length > 0) return exitCodes.refused
    const keyFile = given.text('key')
    const key = await readPublisherKey(keyFile === undefined ? defaultKeyFile(env) : resolve(cwd, keyFile))
    const version = await readVersion(subject.folder)
    if (version === undefined)
      throw cliError('FLT_CLI_USAGE', { usage, problem: 'package.json needs a "version" like 1.2.3' })
    const expiresAt = readExpiry(given.text('expires'))
    const counter = readCounter(given.text('counter'), version)
    const { folder, manifest } = subject
    const { bytes, files } = await packFolder({ folder, manifest, version, counter, expiresAt, key })
    const out = resolve(cwd, given.text('out') ?? `${manifest.id}-${version}.fleetplugin`)
    await writeFile(out, bytes)
    print(`${relative(cwd, out)}  ${(bytes.length / 1024).toFixed(1)} kB, ${files.length} files`)
    print(`signed by ${keyIdOf(key.publicKey)}, counter ${counter}, expires ${expiresAt}`)
    return 0
  },
}

/** Default: a number that grows with the version. */
function readCounter(text: string | undefined, version: string): number {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number)
  const counter = text === undefined ? major * 1e8 + minor * 1e4 + patch : Number(text)
  if (Number.isSafeInteger(counter) && counter > 0) return counter
  throw cliError('FLT_CLI_USAGE', { usage, problem: 'The counter is a whole number from 1 on' })
}

/** Default: a year from today, at midnight UTC, so that one day's packs are equal. */
function readExpiry(text: string | undefined): string {
  const ms = text === undefined ? Math.floor((Date.now() + yearMs) / dayMs) * dayMs : Date.parse(text)
  if (Number.isNaN(ms))
    throw cliError('FLT_CLI_USAGE', { usage, problem: 'The expiry is a date like 2030-01-31' })
  return new Date(ms).toISOString()
}

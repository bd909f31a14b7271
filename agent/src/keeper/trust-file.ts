import { lstat, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TrustedPublisher } from '@fleetupdate/sdk/bundle'

/** Whose executors the owner of this machine lets run, whatever the server delivers. */
export interface HostTrust {
  readonly publishers: readonly TrustedPublisher[]
  /** Whether executors that somebody put into a folder by hand may run. */
  readonly unsigned: 'refuse' | 'allow'
}

/** Thrown where a trust file exists and cannot be trusted or understood: then nobody is trusted. */
export class TrustProblem extends Error {}

export const trustFileName = 'trust.yaml'
const nothing: HostTrust = { publishers: [], unsigned: 'refuse' }
const namePattern = /^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$/
const pluginPattern = /^[a-z][a-z0-9-]{0,63}\*?$/
const keyPattern = /^[A-Za-z0-9_-]{43}$/

/**
 * Reads `trust.yaml` in a folder; without it nobody is trusted. Throws {@link TrustProblem} where the file or its folder belongs to
 * somebody who is not in `owners`, others may write it, or it says anything that is not understood.
 */
export async function readTrust(folder: string, owners: readonly number[]): Promise<HostTrust> {
  const file = join(folder, trustFileName)
  const found = await lstat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new TrustProblem(`${file} cannot be read`)
  })
  if (!found) return nothing
  for (const [path, { uid, mode }] of [[file, found] as const, [folder, await lstat(folder)] as const]) {
    // A link's own mode is always 0777, so that it is refused too.
    if (!owners.includes(uid) || (mode & 0o022) !== 0)
      throw new TrustProblem(`${path} must belong to root, and nobody else may write it`)
  }
  const { parse } = await import('yaml')
  const text = await readFile(file, 'utf8')
  try {
    return understandTrust(parse(text, { uniqueKeys: true, maxAliasCount: 0 }) ?? {})
  } catch (error) {
    throw new TrustProblem(`${file}: ${error instanceof TrustProblem ? error.message : 'it is not YAML'}`)
  }
}

/** The meaning of a parsed trust file. Throws {@link TrustProblem} at the first thing that is not understood. */
export function understandTrust(value: unknown): HostTrust {
  const { publishers = [], unsigned = 'refuse' } = keys(value, ['publishers', 'unsigned'])
  if (unsigned !== 'refuse' && unsigned !== 'allow')
    throw new TrustProblem('unsigned must be refuse or allow')
  if (!Array.isArray(publishers)) throw new TrustProblem('publishers must be a list')
  const read = publishers.map(readPublisher)
  for (const member of ['name', 'key'] as const) {
    const twice = read.find((one, at) => read.findIndex((other) => other[member] === one[member]) !== at)
    if (twice) throw new TrustProblem(`the ${member} ${twice[member]} stands there twice`)
  }
  return { publishers: read, unsigned }
}

const members = ['name', 'key', 'plugins', 'privileges', 'network', 'paths', 'revoked']

function readPublisher(value: unknown): TrustedPublisher {
  const {
    name,
    key,
    plugins,
    privileges = false,
    network = false,
    paths,
    revoked = false,
  } = keys(value, members)
  if (typeof name !== 'string' || !namePattern.test(name))
    throw new TrustProblem('every publisher needs a name of letters, digits, spaces, dots and dashes')
  const wrong = (what: string): TrustProblem => new TrustProblem(`${what} (publisher ${name})`)
  if (typeof key !== 'string' || !keyPattern.test(key))
    throw wrong('key must be a public key of 43 characters, as plugin keygen prints it')
  if (!isTextList(plugins) || plugins.length === 0 || !plugins.every((one) => pluginPattern.test(one)))
    throw wrong("plugins must be a list of ids, such as 'acme-*'")
  if (typeof privileges !== 'boolean' && !isPathList(privileges))
    throw wrong('privileges must be true, false or a list of programs with their whole paths')
  if (paths !== undefined && !isPathList(paths)) throw wrong('paths must be a list of whole paths')
  if (typeof network !== 'boolean' || typeof revoked !== 'boolean')
    throw wrong('network and revoked must be true or false')
  return { name, key, plugins, privileges, network, revoked, ...(paths === undefined ? {} : { paths }) }
}

/** A key that is not known may mean a limit that would not be kept. */
function keys(value: unknown, known: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TrustProblem(`${JSON.stringify(value)} stands where keys are expected`)
  const unknown = Object.keys(value).find((key) => !known.includes(key))
  if (unknown !== undefined) throw new TrustProblem(`the key "${unknown}" is unknown`)
  return { ...value }
}

function isPathList(value: unknown): value is string[] {
  return isTextList(value) && value.every((one) => one.startsWith('/'))
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}

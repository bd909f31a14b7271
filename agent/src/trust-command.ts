import { createPublicKey, randomBytes } from 'node:crypto'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { agentError, describeError, errorCode } from './errors.ts'
import { trustFileName, understandTrust } from './keeper/trust-file.ts'

export const trustUsage = `fleetupdate-agent trust list
fleetupdate-agent trust add NAME KEY --plugins 'acme-*,disk-health' [--privileges | --programs /usr/sbin/zpool,…] [--network] [--paths /var/log,…]
fleetupdate-agent trust revoke NAME
fleetupdate-agent trust unsigned allow|refuse`

export interface TrustCommandOptions {
  /** The folder of the configuration. */
  readonly folder: string
  readonly uid: number
  print(line: string): void
}

const options = {
  plugins: { type: 'string' },
  privileges: { type: 'boolean' },
  programs: { type: 'string' },
  network: { type: 'boolean' },
  paths: { type: 'string' },
} as const

/**
 * Shows or changes whose executors may run on this machine. A change is written whole or not at all, keeps comments, and only where the result is
 * understood; below /etc only root may make one. Throws FLT_AGENT_TRUST.
 */
export async function runTrustCommand(
  args: readonly string[],
  { folder, uid, print }: TrustCommandOptions,
): Promise<void> {
  const { values, positionals } = parse(args)
  const [verb = 'list', name = '', key = ''] = positionals
  const file = join(folder, trustFileName)
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return ''
    throw wrong(`${file} cannot be read (${describeError(error)})`)
  })
  // Only now: runners start from the same module, and need none of it.
  const { parseDocument, YAMLMap, YAMLSeq } = await import('yaml')
  const document = parseDocument(text)
  if (verb === 'list') return list(understood(document.toJS(), file), print)
  if (folder.startsWith('/etc/') && uid !== 0) throw wrong('only root may change trust: use sudo')
  if (!(document.contents instanceof YAMLMap)) document.contents = document.createNode({}) as never
  const publishers = document.get('publishers')
  const seq = publishers instanceof YAMLSeq ? publishers : undefined
  const found = seq?.items.find((one) => one instanceof YAMLMap && one.get('name') === name)
  if (verb === 'unsigned') document.set('unsigned', name)
  else if (verb === 'revoke') {
    if (!(found instanceof YAMLMap)) throw wrong(`there is no publisher "${name}"`)
    found.set('revoked', true)
  } else if (verb === 'add') {
    if (found) throw wrong(`there is a publisher "${name}" already`)
    const privileges = values.programs === undefined ? values.privileges : items(values.programs)
    const publisher = {
      name,
      key: await readKey(key),
      plugins: items(values.plugins ?? ''),
      ...(privileges === undefined ? {} : { privileges }),
      ...(values.network ? { network: true } : {}),
      ...(values.paths === undefined ? {} : { paths: items(values.paths) }),
    }
    if (seq) seq.add(document.createNode(publisher))
    else document.set('publishers', document.createNode([publisher]))
  } else throw wrong(`the word "${verb}" is unknown`)
  understood(document.toJS(), file)
  await replace(file, String(document))
  print(`${file} was changed; a running agent notices within seconds.`)
}

function parse(args: readonly string[]) {
  // One key in 64 begins with a dash, and is no option for that.
  const dashed = args.filter((each) => each.startsWith('-') && isKey(each))
  const others = args.filter((each) => !dashed.includes(each))
  try {
    return parseArgs({ args: [...others, '--', ...dashed], options, allowPositionals: true })
  } catch (error) {
    throw wrong(describeError(error))
  }
}

function list(
  { publishers, unsigned }: ReturnType<typeof understandTrust>,
  print: (line: string) => void,
): void {
  for (const { name, key, plugins, privileges, network, paths, revoked } of publishers) {
    const root =
      typeof privileges === 'object' ? `root for ${privileges.join(', ')}` : privileges && 'root as declared'
    const more = [root, network && 'network', paths && `paths ${paths.join(', ')}`].filter(Boolean)
    print(
      `${revoked ? 'revoked  ' : 'trusted  '}${name}  ${key}  ${plugins.join(', ')}${more.length > 0 ? `  (${more.join('; ')})` : ''}`,
    )
  }
  if (publishers.length === 0) print('No publisher is trusted: only built-in executors run.')
  print(
    unsigned === 'allow'
      ? 'Executors that nobody signed may run.'
      : 'Executors that nobody signed are refused.',
  )
}

function understood(value: unknown, file: string): ReturnType<typeof understandTrust> {
  try {
    return understandTrust(value ?? {})
  } catch (error) {
    throw wrong(`${file} would not be understood: ${describeError(error)}`)
  }
}

/** A public key as `plugin keygen` prints it, or a file that holds it, also as PEM. */
async function readKey(given: string): Promise<string> {
  if (isKey(given)) return given
  const text = await readFile(given, 'utf8').catch((error: unknown) => {
    throw wrong(`the key "${given}" is neither 43 characters nor a file (${errorCode(error)})`)
  })
  const [plain] = /^[A-Za-z0-9_-]{43}$/m.exec(text) ?? []
  if (plain !== undefined) return plain
  try {
    const { crv, x } = createPublicKey(text).export({ format: 'jwk' })
    if (crv === 'Ed25519' && x !== undefined) return x
  } catch {
    // Said below.
  }
  throw wrong(`${given} holds no public Ed25519 key`)
}

function isKey(text: string): boolean {
  return /^[A-Za-z0-9_-]{43}$/.test(text)
}

async function replace(file: string, text: string): Promise<void> {
  const temporary = `${file}.${randomBytes(4).toString('hex')}.tmp`
  try {
    await writeFile(temporary, text, { mode: 0o644, flag: 'wx', flush: true })
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw wrong(`${file} cannot be written (${describeError(error)})`)
  }
}

function items(list: string): string[] {
  return list
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '')
}

function wrong(problem: string): Error {
  return agentError('FLT_AGENT_TRUST', { problem, usage: trustUsage })
}

import { createHash, createPublicKey, verify } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AgentReleaseStatement } from '@fleetupdate/sdk/bundle'
import { Compile } from 'typebox/compile'
import { fleetError } from '../errors.ts'

/** One file of a release, by its hash. */
export interface ReleaseFile {
  readonly name: string
  readonly path: string
  readonly sha256: string
  readonly bytes: number
}

/** The release of the agent that this server hands out: checked once, then never changed. */
export interface AgentRelease {
  readonly statement: AgentReleaseStatement
  /** Public key of its signature: SPKI in base64. */
  readonly publicKey: string
  /** The signed bytes of `release.json`, and their signature in base64. */
  readonly signed: { readonly bytes: Buffer; readonly signature: string }
  readonly files: ReadonlyMap<string, ReleaseFile>
  /** The installer as it was released. */
  readonly installer: string
}

const check = Compile(AgentReleaseStatement)

/**
 * Opens the folder of a release and proves that it is whole and signed by the key beside it. That this is the right key only the pasted
 * line, and later each machine's own pinned key, can tell. Throws FLT_INSTALL_RELEASE_DAMAGED.
 */
export async function openAgentRelease(folder: string): Promise<AgentRelease> {
  try {
    const bytes = await readFile(join(folder, 'release.json'))
    const publicKey = (await readFile(join(folder, 'release.pub'), 'utf8')).trim()
    const signature = (await readFile(join(folder, 'release.sig'), 'utf8')).trim()
    if (!/^[A-Za-z0-9+/]{59}=$/.test(publicKey)) throw new Error('release.pub is not an Ed25519 key')
    const key = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' })
    if (!verify(null, bytes, key, Buffer.from(signature, 'base64')))
      throw new Error('the signature does not belong to release.json')
    const statement: unknown = JSON.parse(bytes.toString('utf8'))
    if (!check.Check(statement)) throw new Error('release.json does not fit')
    const files = new Map<string, ReleaseFile>()
    for (const { name, sha256, bytes: size } of [statement.archive, ...statement.nodes])
      files.set(name, { name, sha256, bytes: size, path: await intact(folder, { name, sha256 }) })
    const installer = await readFile(await intact(folder, statement.installer), 'utf8')
    return { statement, publicKey, signed: { bytes, signature }, files, installer }
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause)
    throw fleetError('FLT_INSTALL_RELEASE_DAMAGED', { folder, problem }, { cause })
  }
}

async function intact(
  folder: string,
  { name, sha256 }: { readonly name: string; readonly sha256: string },
): Promise<string> {
  const path = join(folder, name)
  const found = createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
  if (found !== sha256) throw new Error(`${name} was changed`)
  return path
}

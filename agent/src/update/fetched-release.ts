import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { constants, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { AgentReleaseStatement, type ArchiveFile, readTar } from '@fleetupdate/sdk/bundle'
import { createCheck, parseJson } from '../check.ts'
import type { UpdatePaths } from './paths.ts'
import { UpdateRefused } from './refusal.ts'

/** A release whose every byte is signed by a key this machine trusts. */
export interface FetchedRelease {
  readonly statement: AgentReleaseStatement
  readonly json: Buffer
  readonly signature: Buffer
  readonly files: readonly ArchiveFile[]
}

const check = createCheck(AgentReleaseStatement)
const statementBytes = 64 * 1024
const archiveBytes = 20 * 1024 * 1024
const unpackedBytes = 64 * 1024 * 1024

/**
 * Reads what the agent fetched. The folder is hostile: each file is read once, into memory, and judged there, so that nothing can be exchanged
 * between the check and the use. Throws {@link UpdateRefused}.
 */
export async function readFetchedRelease(
  { incoming, pin }: Pick<UpdatePaths, 'incoming' | 'pin'>,
  archiveSha256: string,
): Promise<FetchedRelease> {
  const keys = await pinnedKeys(pin)
  const json = await readPlain(join(incoming, 'release.json'), statementBytes)
  const signature = await readPlain(join(incoming, 'release.sig'), 1024)
  const signed = Buffer.from(signature.toString('latin1').trim(), 'base64')
  if (!keys.some((key) => verify(null, json, key, signed)))
    throw new UpdateRefused(`the release is not signed by a key in ${pin}`)
  const statement = parseJson(json.toString('utf8'))
  if (!check.accepts(statement))
    throw new UpdateRefused(`release.json does not fit: ${check.problem(statement)}`)
  if (statement.archive.sha256 !== archiveSha256)
    throw new UpdateRefused('the release is another one than was asked for')
  const archive = await readPlain(join(incoming, 'agent.tar.gz'), archiveBytes)
  if (createHash('sha256').update(archive).digest('hex') !== archiveSha256)
    throw new UpdateRefused('the archive is not the one that was signed')
  return { statement, json, signature, files: unpack(archive) }
}

async function pinnedKeys(pin: string): Promise<readonly KeyObject[]> {
  const text = await readFile(pin, 'utf8').catch(() => '')
  const lines = text.split('\n').filter((line) => /^[A-Za-z0-9+/]{59}=$/.test(line))
  if (lines.length === 0)
    throw new UpdateRefused(
      `this machine trusts no release key: ${pin} is missing or empty. Run the installer's line again`,
    )
  return lines.map((line) =>
    createPublicKey({ key: Buffer.from(line, 'base64'), format: 'der', type: 'spki' }),
  )
}

/** A plain file, whole, up to a limit: no link, no pipe that never ends. */
async function readPlain(path: string, limit: number): Promise<Buffer> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const file = await open(path, flags).catch(() => {
    throw new UpdateRefused(`${path} cannot be read`)
  })
  try {
    const { size } = await file.stat().then((found) => (found.isFile() ? found : { size: -1 }))
    if (size < 0 || size > limit) throw new UpdateRefused(`${path} is no file of at most ${limit} bytes`)
    const bytes = Buffer.alloc(size)
    const { bytesRead } = await file.read(bytes, 0, size, 0)
    return bytes.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

function unpack(archive: Buffer): readonly ArchiveFile[] {
  try {
    return readTar(gunzipSync(archive, { maxOutputLength: unpackedBytes }))
  } catch (error) {
    throw new UpdateRefused(
      `the archive cannot be unpacked: ${error instanceof Error ? error.message : error}`,
    )
  }
}

import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readFile, stat, unlink } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { dirname } from 'node:path'
import { fleetError } from '../errors.ts'

/**
 * The 32-byte key that encrypts secrets at rest. A missing file is made (0600, whole or not at all). Refused with
 * FLT_CONFIG_INVALID: a file others may read or change, one of another owner, and one that holds no key. Only a file of root's may
 * be readable by its group (root:orchestrator 0640).
 */
export async function openMasterKey(file: string): Promise<Buffer> {
  const known = await readMasterKey(file)
  if (known) return known
  try {
    await createKey(file)
    return await readKey(file)
  } catch (error) {
    throw keyError(file, error)
  }
}

/** The same key where the file is there; undefined where it is missing. Makes nothing. */
export async function readMasterKey(file: string): Promise<Buffer | undefined> {
  try {
    return await readKey(file)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw keyError(file, error)
  }
}

async function readKey(file: string): Promise<Buffer> {
  const { mode, uid } = await stat(file)
  const isOwnersAlone = (mode & 0o077) === 0
  const isRootsForGroup = uid === 0 && (mode & 0o037) === 0
  if (!isOwnersAlone && !isRootsForGroup)
    throw invalid(`${file} can be read by others; run: chmod 600 ${file}`)
  if (uid !== 0 && uid !== userInfo().uid)
    throw invalid(`${file} belongs to another user; give it to the server's user`)
  const text = (await readFile(file, 'utf8')).trim()
  const key = Buffer.from(text, 'base64')
  if (key.length !== 32 || key.toString('base64') !== text)
    throw invalid(`${file} does not hold a master key (32 bytes as base64); put the right file back`)
  return key
}

/** By a link, which fails where another process was faster: its key then counts. */
async function createKey(file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const draft = `${file}.${randomBytes(6).toString('hex')}.new`
  const handle = await open(draft, 'wx', 0o600)
  try {
    await handle.writeFile(`${randomBytes(32).toString('base64')}\n`)
    await handle.sync()
    await link(draft, file).catch((error: unknown) => {
      if (!hasCode(error, 'EEXIST')) throw error
    })
  } finally {
    await handle.close()
    await unlink(draft)
  }
  const folder = await open(dirname(file), 'r')
  await folder.sync().finally(() => folder.close())
}

function keyError(file: string, error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error
  if (typeof error.code === 'string' && error.code.startsWith('FLT_')) return error
  return invalid(`${file} cannot be read or made: ${error.message}`, error)
}

function invalid(problem: string, cause?: unknown): Error {
  return fleetError('FLT_CONFIG_INVALID', { key: 'MASTER_KEY_FILE', problem: `${problem}.` }, { cause })
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

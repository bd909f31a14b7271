import { randomBytes } from 'node:crypto'
import { type FileHandle, link, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Check, parseJson } from './check.ts'
import { errorCode } from './errors.ts'

/**
 * Replaces a file so that after a crash either the old or the new text stands there, whole: temporary file, fsync, rename, fsync of
 * the folder. It has its mode (0600 unless told) before it has its name: whoever may read it can at every moment.
 */
export async function writeDurably(path: string, text: string, mode = 0o600): Promise<void> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`
  try {
    await writeSynced(temporary, text, mode)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncFolder(dirname(path))
}

/**
 * Creates a file durably; false where it exists already. Whoever sees it sees all of it: the text is written elsewhere and linked in, and of several
 * who try only one succeeds.
 */
export async function createDurably(path: string, text: string): Promise<boolean> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`
  try {
    await writeSynced(temporary, text)
    await link(temporary, path)
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    throw error
  } finally {
    await rm(temporary, { force: true })
  }
  await syncFolder(dirname(path))
  return true
}

/** Writes a new file (it must not exist) and syncs its content, but not the folder it stands in. */
export async function writeSynced(path: string, text: string, mode = 0o600): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    if (mode !== 0o600) await file.chmod(mode)
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

/**
 * Creates a folder with its files durably; false where it exists already. All of it is synced at once: after a power cut any part may be missing
 * or empty, so that only what happens after this returns may be taken as a sign that it did.
 */
export async function createFolderDurably(
  path: string,
  texts: Readonly<Record<string, string>>,
): Promise<boolean> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    throw error
  }
  const files: FileHandle[] = []
  try {
    for (const name of Object.keys(texts)) files.push(await open(join(path, name), 'wx', 0o600))
    await Promise.all(Object.values(texts).map((text, index) => files[index]?.writeFile(text)))
    await Promise.all([...files.map((file) => file.sync()), syncFolder(path), syncFolder(dirname(path))])
  } catch (error) {
    await rm(path, { recursive: true, force: true })
    throw error
  } finally {
    await Promise.all(files.map((file) => file.close()))
  }
  return true
}

/** Makes the entries of a folder survive a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** A private folder and its parents, made where they are missing. */
export async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 })
}

/** A JSON file that fits a schema; undefined where the file is missing or does not fit. */
export async function readJson<T>(path: string, check: Check<T>): Promise<T | undefined> {
  const text = await readText(path)
  const value = text === undefined ? undefined : parseJson(text)
  return check.accepts(value) ? value : undefined
}

/** The text of a file; undefined where there is none. */
export async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

import { type Dirent, existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { checkpointsName } from '../audit/checkpoints.ts'
import { consoleFolder } from '../http/console-socket.ts'
import { dataLockName } from '../store/data-lock.ts'

/** What of a data folder belongs into a backup; paths are relative to it. */
export interface Parts {
  /** core.db first: what it says to be stored elsewhere must be there in the others, which are read after it. */
  readonly databases: readonly string[]
  /** Signed lines over rows of core.db: read before it, so that each of them has its row. */
  readonly before: readonly string[]
  /** The code of plugins: read after the databases, because newer code can take up an older database and not the other way round. */
  readonly after: readonly string[]
  /** Entries that stay behind, the master key among them. */
  readonly leftOut: readonly string[]
}

/** Folders whose files belong into a backup as they are. */
export const fileFolders = ['plugins', 'plugin-bundles'] as const

/** All names at the top of a data folder that a backup holds. */
export const backedUpNames: readonly string[] = ['core.db', 'plugins-data', checkpointsName, ...fileFolders]

/** Looks at a data folder. */
export async function findParts(dataDir: string): Promise<Parts> {
  const plugins = (await entriesOf(join(dataDir, 'plugins-data')))
    .filter((entry) => entry.isFile() && entry.name.endsWith('.db'))
    .map(({ name }) => `plugins-data/${name}`)
    .sort()
  const leftOut: string[] = []
  const after: string[] = []
  for (const folder of fileFolders) await walk(dataDir, folder, after, leftOut)
  const known = new Set([...backedUpNames, 'core.db-wal', 'core.db-shm', dataLockName, consoleFolder])
  for (const { name } of await entriesOf(dataDir)) if (!known.has(name)) leftOut.push(name)
  return {
    databases: ['core.db', ...plugins],
    before: existsSync(join(dataDir, checkpointsName)) ? [checkpointsName] : [],
    after: after.sort(),
    leftOut: leftOut.sort(),
  }
}

async function walk(root: string, folder: string, files: string[], leftOut: string[]): Promise<void> {
  for (const entry of await entriesOf(join(root, folder))) {
    const path = `${folder}/${entry.name}`
    // Half an installation that a crash left behind.
    if (/^plugin-bundles\/[^/]+\.(new|old)$/.test(path)) continue
    if (entry.isDirectory()) await walk(root, path, files, leftOut)
    else if (entry.isFile()) files.push(path)
    else leftOut.push(path)
  }
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  })
}

import { lstat, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

const lists = '/var/lib/apt/lists'
const watchedFolders = [
  lists,
  '/var/lib/dpkg/updates',
  '/etc/apt',
  '/etc/apt/apt.conf.d',
  '/etc/apt/preferences.d',
  '/etc/apt/sources.list.d',
]
const watchedFiles = ['/var/lib/dpkg/status', '/var/lib/apt/extended_states']

/**
 * Everything apt's answer depends on, as one string of names, times and sizes: while it stays the same, apt need not be asked
 * again. Costs some dozens of stat calls.
 */
export async function aptFingerprint(root: string): Promise<string> {
  const folders = await Promise.all(watchedFolders.map((folder) => filesOf(root, folder)))
  const paths = [...folders.flat(), ...watchedFiles.map((file) => join(root, file))]
  const states = await Promise.all(
    paths.map(async (path) => {
      const found = await stat(path).catch(() => undefined)
      return found === undefined ? '' : `${path} ${found.mtimeMs} ${found.size}`
    }),
  )
  return states.filter((state) => state !== '').join('\n')
}

/**
 * Since when every repository has been fetched, `undefined` where the index was never fetched.
 *
 * apt gives an index file the time at which the repository published it, so its modification time says nothing. But each
 * successful fetch, also one that brought nothing new, renames the signed `InRelease` into place, and thereby sets its change
 * time; a failed one does not [m]. The oldest counts: one repository out of reach makes the whole index old. Copying a disk
 * file by file also sets change times; `partial`, touched by every attempt, keeps its own, and no success is later than the last
 * attempt. A repository without `InRelease` shows only when its content last changed, which errs on the old side.
 */
export async function indexRefreshedAt(root: string): Promise<Date | undefined> {
  const paths = await filesOf(root, lists)
  const signed = paths.filter((path) => path.endsWith('_InRelease'))
  const times = signed.length > 0 ? await changeTimes(signed) : await changeTimes(paths.filter(isIndex))
  if (times.length === 0) return undefined
  const fetched = signed.length > 0 ? Math.min(...times) : Math.max(...times)
  const attempt = await stat(join(root, lists, 'partial')).catch(() => undefined)
  return new Date(attempt === undefined ? fetched : Math.min(fetched, attempt.mtimeMs + attemptMs))
}

/** Between the last write into `partial` and the rename of the last index file. */
const attemptMs = 60_000

function isIndex(path: string): boolean {
  return /_(Release|Packages(\.[a-z0-9]+)?)$/.test(path)
}

async function changeTimes(paths: readonly string[]): Promise<number[]> {
  const found = await Promise.all(paths.map((path) => lstat(path).catch(() => undefined)))
  return found.flatMap((state) => (state === undefined ? [] : [state.ctimeMs]))
}

async function filesOf(root: string, folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => !entry.isDirectory() && entry.name !== 'lock')
    .map((entry) => join(root, folder, entry.name))
    .sort()
}

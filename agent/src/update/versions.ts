import { mkdir, open, readFile, readlink, realpath, rename, rm, symlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { syncFolder } from '../durable-file.ts'
import type { FetchedRelease } from './fetched-release.ts'

/** The versions of the agent that stand side by side; `current` and `previous` are links to two of them. */
export interface Versions {
  current(): Promise<string>
  /** The version that ran before the current one and still stands beside it. */
  before(): Promise<string | undefined>
  /** Points a link at a version: before or after, never between. Survives a power cut. */
  point(link: 'current' | 'previous', version: string): Promise<void>
  /** What an installed release says of itself; counter 0 where it came without a statement. */
  statement(version: string): Promise<InstalledStatement>
  /** Puts a release in place, whole and on the disk, with the Node of the version that runs. */
  add(release: FetchedRelease): Promise<void>
  remove(version: string): Promise<void>
}

export interface InstalledStatement {
  readonly counter: number
  /** SHA-256 of the archive it was unpacked from, hex. */
  readonly archive?: string
}

/** The versions in a folder. */
export function createVersions(folder: string): Versions {
  const current = async (): Promise<string> => basename(await readlink(join(folder, 'current')))
  return {
    current,
    async before() {
      const version = await readlink(join(folder, 'previous')).then(basename, () => undefined)
      if (version === undefined || version === (await current())) return undefined
      return (await readFile(join(folder, version, 'VERSION')).catch(() => undefined)) && version
    },
    async point(link, version) {
      const fresh = join(folder, `.${link}-new`)
      await rm(fresh, { force: true })
      await symlink(version, fresh)
      await rename(fresh, join(folder, link))
      await syncFolder(folder)
    },
    async statement(version) {
      const text = await readFile(join(folder, version, 'release.json'), 'utf8').catch(() => '{}')
      const { counter, archive } = JSON.parse(text) as { counter?: unknown; archive?: { sha256?: unknown } }
      return {
        counter: typeof counter === 'number' ? counter : 0,
        ...(typeof archive?.sha256 === 'string' ? { archive: archive.sha256 } : {}),
      }
    },
    async add({ statement, files, json, signature }) {
      const part = join(folder, '.part-update')
      await rm(part, { recursive: true, force: true })
      const all = [
        ...files,
        { path: 'release.json', content: json },
        { path: 'release.sig', content: signature },
      ]
      for (const { path, content } of all)
        await write(join(part, path), content, isProgram(path) ? 0o755 : 0o644)
      const node = await realpath(join(folder, await current(), 'node/bin/node'))
      await mkdir(join(part, 'node/bin'), { recursive: true, mode: 0o755 })
      await symlink(node, join(part, 'node/bin/node'))
      for (const path of new Set(all.map((file) => dirname(file.path)))) await syncFolder(join(part, path))
      const target = join(folder, statement.version)
      await rm(target, { recursive: true, force: true })
      await rename(part, target)
      await syncFolder(folder)
    },
    remove: (version) => rm(join(folder, version), { recursive: true, force: true }),
  }
}

/** Those at the top without an extension, as root and people call them. */
function isProgram(path: string): boolean {
  return path === 'main.js' || (/^[a-z-]+$/.test(path) && !path.includes('/'))
}

async function write(path: string, content: Buffer, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 })
  const file = await open(path, 'wx', mode)
  try {
    await file.writeFile(content)
    // Whatever the umask of whoever called.
    await file.chmod(mode)
    await file.sync()
  } finally {
    await file.close()
  }
}

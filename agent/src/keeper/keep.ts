import { createHash, randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { getuid } from 'node:process'
import { FleetError } from '@fleetupdate/sdk'
import { type ArchiveFile, bundleLimits, openBundle } from '@fleetupdate/sdk/bundle'
import { raiseCounter, syncFolder } from './counters.ts'
import {
  assertTrusted,
  hashPattern,
  type KeeperPlaces,
  KeeperRefusal,
  type KeptBundle,
  readKept,
} from './kept-bundle.ts'

/** What the agent learns of a bundle that may run. */
export interface KeptReport {
  readonly sha256: string
  readonly id: string
  readonly version: string
  readonly publisher: string
  readonly folder: string
  /** Of the executor's module. */
  readonly entrySha256: string
}

/** What is wrong with one; `missing`: it was never stored. */
export interface RefusedReport {
  readonly sha256: string
  readonly state: 'refused' | 'modified' | 'missing'
  readonly reason: string
}

export interface Keeper {
  /** Takes `incoming/<sha256>` of the agent in: copies it, checks the copy, and stores that. */
  store(sha256: string): Promise<KeptReport | RefusedReport>
  /** Checks stored bundles again, each by itself. */
  verify(hashes: readonly string[]): Promise<readonly (KeptReport | RefusedReport)[]>
  /** The hashes of all that is stored. */
  list(): Promise<readonly string[]>
  /** Removes all but these. */
  sweep(keep: readonly string[]): Promise<void>
}

/** Keeps bundles in `places.store`; `incoming` is where the agent puts what it fetched. */
export function createKeeper(places: KeeperPlaces, incoming: string): Keeper {
  const bundles = join(places.store, 'bundles')
  const list = async (): Promise<readonly string[]> =>
    (await readdir(bundles).catch(() => [])).filter((name) => hashPattern.test(name))

  const take = async (sha256: string): Promise<KeptReport> => {
    await makeStore(places.store, bundles)
    const bytes = await readIncoming(incoming, sha256)
    const opened = openBundle(bytes)
    const { statement } = opened
    if (statement.manifest.executor === undefined) throw new KeeperRefusal('refused', 'it brings no executor')
    await assertTrusted(places, statement, 'load')
    const kept = await readKept(places, sha256, 'load').catch(() => undefined)
    if (kept) return report(sha256, kept)
    const target = join(bundles, sha256)
    const fresh = `${target}.${randomBytes(4).toString('hex')}.new`
    try {
      await writeFiles(fresh, [opened.envelope, ...opened.files])
      // Before it can be loaded: what came before is a step back from here on.
      await raiseCounter(places.store, statement.id, statement.counter, places.now())
      await rm(target, { recursive: true, force: true })
      await rename(fresh, target)
    } finally {
      await rm(fresh, { recursive: true, force: true })
    }
    await syncFolder(bundles)
    return report(sha256, await readKept(places, sha256, 'load'))
  }
  return {
    list,
    store: (sha256) => answered(sha256, take(sha256)),
    async verify(hashes) {
      const answers: (KeptReport | RefusedReport)[] = []
      for (const sha256 of hashes)
        answers.push(
          await answered(
            sha256,
            readKept(places, sha256, 'load').then((kept) => report(sha256, kept)),
          ),
        )
      return answers
    },
    async sweep(keep) {
      for (const name of await readdir(bundles).catch(() => []))
        if (!keep.includes(name)) await rm(join(bundles, name), { recursive: true, force: true })
    },
  }
}

async function answered(sha256: string, work: Promise<KeptReport>): Promise<KeptReport | RefusedReport> {
  try {
    return await work
  } catch (error) {
    if (error instanceof KeeperRefusal) return { sha256, state: error.state, reason: error.message }
    if (error instanceof FleetError) return { sha256, state: 'refused', reason: error.message }
    throw error
  }
}

function report(sha256: string, { statement, publisher, folder }: KeptBundle): KeptReport {
  const { id, version, manifest, files } = statement
  const entry = (manifest.executor ?? '').replace(/^\.\//, '')
  const entrySha256 = files.find(({ path }) => path === entry)?.sha256 ?? ''
  return { sha256, id, version, publisher, folder, entrySha256 }
}

/** Root's alone, and readable by all: what is in it runs as other users. */
async function makeStore(store: string, bundles: string): Promise<void> {
  await mkdir(bundles, { recursive: true, mode: 0o755 })
  for (const path of [store, bundles]) {
    const { uid, mode } = await lstat(path)
    if (uid !== getuid?.() || (mode & 0o022) !== 0)
      throw new KeeperRefusal('refused', `${path} must belong to the keeper's user alone`)
  }
}

/** Into memory at once: nobody can change what was copied while it is looked at. */
async function readIncoming(incoming: string, sha256: string): Promise<Buffer> {
  if (!hashPattern.test(sha256)) throw new KeeperRefusal('missing', 'the hash is malformed')
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const file = await open(join(incoming, sha256), flags).catch(() => undefined)
  if (!file) throw new KeeperRefusal('missing', 'it was not fetched')
  try {
    const found = await file.stat()
    if (!found.isFile() || found.size > bundleLimits.packedBytes)
      throw new KeeperRefusal('refused', 'what was fetched is no file, or too large')
    const { buffer, bytesRead } = await file.read(Buffer.alloc(found.size), 0, found.size, 0)
    const bytes = buffer.subarray(0, bytesRead)
    if (createHash('sha256').update(bytes).digest('hex') !== sha256)
      throw new KeeperRefusal('refused', 'what was fetched is not what was asked for')
    return bytes
  } finally {
    await file.close()
  }
}

async function writeFiles(folder: string, files: readonly ArchiveFile[]): Promise<void> {
  await mkdir(folder, { mode: 0o755 })
  const folders = new Set([folder])
  for (const { path, content } of files) {
    const target = join(folder, path)
    for (let at = dirname(target); at !== folder; at = dirname(at)) folders.add(at)
    await mkdir(dirname(target), { recursive: true, mode: 0o755 })
    const file = await open(target, 'wx', 0o644)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
  }
  for (const one of folders) await syncFolder(one)
}

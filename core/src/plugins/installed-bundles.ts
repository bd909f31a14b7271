import { createHash } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type OpenedBundle, openBundle } from '@fleetupdate/sdk/bundle'

/** The bundles an admin installed: unpacked under `DATA_DIR/plugins/<id>`, as they came under `DATA_DIR/plugin-bundles`. */
export interface InstalledBundles {
  /** The bundle a plugin was installed from; undefined where it did not come by this road. */
  read(id: string): Promise<InstalledBundle | undefined>
  /** What is known of it without reading it again; undefined where it did not come by this road. */
  summary(id: string): BundleSummary | undefined
  /** Some bytes of the file as it came; undefined where it is gone. */
  readPart(id: string, from: number, length: number): Promise<Buffer | undefined>
  /** Where its files are. */
  folderOf(id: string): string
  /** Puts the files in place of an earlier version, whole or not at all; answers the folder. */
  write(bytes: Buffer): Promise<string>
  remove(id: string): Promise<void>
}

export interface InstalledBundle extends OpenedBundle {
  /** The file as it came. */
  readonly bytes: Buffer
}

export interface BundleSummary {
  readonly version: string
  /** Of the file. */
  readonly sha256: string
  readonly bytes: number
  readonly keyId: string
  readonly hasExecutor: boolean
  readonly folder: string
}

/** Opens the folders, and finishes or takes back what a crash interrupted. */
export async function openInstalledBundles(dataDir: string): Promise<InstalledBundles> {
  const plugins = join(dataDir, 'plugins')
  const bundles = join(dataDir, 'plugin-bundles')
  const paths = (id: string) => ({
    folder: join(plugins, id),
    bundle: join(bundles, `${id}.fleetplugin`),
    incoming: join(bundles, `${id}.new`),
    outgoing: join(bundles, `${id}.old`),
  })
  await mkdir(plugins, { recursive: true })
  await mkdir(bundles, { recursive: true, mode: 0o700 })
  for (const name of await readdir(bundles)) {
    if (name.endsWith('.new')) await rm(join(bundles, name), { recursive: true, force: true })
    if (name.endsWith('.old')) await takeBack(join(bundles, name), join(plugins, name.slice(0, -4)))
  }

  const summaries = new Map<string, BundleSummary>()
  const summarize = (bytes: Buffer, { statement, keyId }: OpenedBundle): void => {
    const { id, version, manifest } = statement
    summaries.set(id, {
      ...{ version, keyId, folder: paths(id).folder, bytes: bytes.length },
      sha256: createHash('sha256').update(bytes).digest('hex'),
      hasExecutor: manifest.executor !== undefined,
    })
  }
  for (const name of await readdir(bundles)) {
    const bytes = name.endsWith('.fleetplugin') ? await readFile(join(bundles, name)) : undefined
    // One that was damaged on the disk is no bundle any more; its plugin runs as one from a folder.
    const opened = bytes && tryOpen(bytes)
    if (opened) summarize(bytes, opened)
  }

  return {
    summary: (id) => summaries.get(id),
    async readPart(id, from, length) {
      const file = await open(paths(id).bundle, 'r').catch(() => undefined)
      if (!file) return undefined
      try {
        const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, from)
        return buffer.subarray(0, bytesRead)
      } finally {
        await file.close()
      }
    },
    async read(id) {
      const bytes = await readFile(paths(id).bundle).catch(() => undefined)
      return bytes && { ...openBundle(bytes), bytes }
    },
    folderOf: (id) => paths(id).folder,
    async write(bytes) {
      const opened = openBundle(bytes)
      const { statement, files } = opened
      const { folder, bundle, incoming, outgoing } = paths(statement.id)
      await rm(incoming, { recursive: true, force: true })
      await rm(outgoing, { recursive: true, force: true })
      for (const { path, content } of files) {
        await mkdir(dirname(join(incoming, path)), { recursive: true })
        await writeFile(join(incoming, path), content)
      }
      await rename(folder, outgoing).catch(ignoreMissing)
      await rename(incoming, folder)
      await writeFile(`${bundle}.new`, bytes)
      await rename(`${bundle}.new`, bundle)
      await rm(outgoing, { recursive: true, force: true })
      summarize(bytes, opened)
      return folder
    },
    async remove(id) {
      const { folder, bundle } = paths(id)
      await rm(folder, { recursive: true, force: true })
      await rm(bundle, { force: true })
      summaries.delete(id)
    },
  }
}

function tryOpen(bytes: Buffer): OpenedBundle | undefined {
  try {
    return openBundle(bytes)
  } catch {
    return undefined
  }
}

/** The new version stands already, or the old one must come back. */
async function takeBack(outgoing: string, folder: string): Promise<void> {
  await mkdir(folder).then(
    () => rename(outgoing, folder),
    () => rm(outgoing, { recursive: true, force: true }),
  )
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'ENOENT') throw error
}

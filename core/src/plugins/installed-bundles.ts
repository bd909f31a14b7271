import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type OpenedBundle, openBundle } from '@fleetupdate/sdk/bundle'

/** The bundles an admin installed: unpacked under `DATA_DIR/plugins/<id>`, as they came under `DATA_DIR/plugin-bundles`. */
export interface InstalledBundles {
  /** The bundle a plugin was installed from; undefined where it did not come by this road. */
  read(id: string): Promise<InstalledBundle | undefined>
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

  return {
    async read(id) {
      const bytes = await readFile(paths(id).bundle).catch(() => undefined)
      return bytes && { ...openBundle(bytes), bytes }
    },
    folderOf: (id) => paths(id).folder,
    async write(bytes) {
      const { statement, files } = openBundle(bytes)
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
      return folder
    },
    async remove(id) {
      const { folder, bundle } = paths(id)
      await rm(folder, { recursive: true, force: true })
      await rm(bundle, { force: true })
    },
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

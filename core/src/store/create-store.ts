import { mkdir, open } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { FleetError } from '@fleetupdate/sdk'
import type { Kysely } from 'kysely'
import { fleetError } from '../errors.ts'
import { type MigrationSeries, migrate } from './migrate.ts'
import { openReadHandle } from './read-handle.ts'
import type { Migration, PluginDatabase, Store } from './store.ts'
import type { CoreTables } from './tables.ts'
import { workerLocation } from './worker-location.ts'
import { createWriter, type WriterFile } from './writer.ts'

export interface StoreOptions {
  /** Made (0700) where it is missing. Holds `core.db` and `plugins-data/<id>.db`. */
  readonly dir: string
  /** Of core.db: one series, or one per room, whose orders are independent of each other. */
  readonly migrations: readonly Migration[] | readonly MigrationSeries[]
  /** Start of the writer's thread; default: beside the built server, or bundled from the sources. */
  readonly workerFile?: URL
  /** How long a lock of another process may delay a query or a batch before FLT_STORE_BUSY. Default 30,000. */
  readonly busyMs?: number
  /** Called once when the disk fails: everything that waited was rejected, nothing is written any more. */
  onFatal(error: FleetError): void
}

interface OpenDatabase<Tables> extends Omit<WriterFile, 'close'> {
  readonly read: Kysely<Tables>
  close(): Promise<void>
}

/** Opens the SQLite store of one data folder, one thread for all writes. A damaged file is refused (FLT_STORE_CORRUPT), never replaced. */
export async function createStore(options: StoreOptions): Promise<Store> {
  const { onFatal, busyMs = 30_000 } = options
  const dir = resolve(options.dir)
  const pluginsDir = join(dir, 'plugins-data')
  await makeFolder(pluginsDir)
  const writer = createWriter({ location: options.workerFile ?? (await workerLocation()), busyMs, onFatal })
  const openReads = new Set<{ close(): void }>()
  try {
    const core = await openDatabase<CoreTables>('core.db', 'critical', seriesOf(options.migrations))
    return {
      read: core.read,
      write: core.write,
      openPlugin,
      async close() {
        // First, so that the writer's handles are the last ones and leave no log behind.
        for (const read of openReads) read.close()
        await writer.close()
      },
    }
  } catch (error) {
    await writer.close()
    throw error
  }

  async function openPlugin(
    id: string,
    migrations: readonly Migration[],
    onDamaged?: (error: FleetError) => void,
  ): Promise<PluginDatabase & { close(): Promise<void> }> {
    if (!/^[a-z][a-z0-9-]{0,63}$/.test(id)) throw new Error(`"${id}" cannot name a database file.`)
    const file = join('plugins-data', `${id}.db`)
    const { read, write, close } = await openDatabase<unknown>(file, 'optional', [migrations], onDamaged)
    return { query: read, write, close }
  }

  async function openDatabase<Tables>(
    name: string,
    importance: 'critical' | 'optional',
    series: readonly MigrationSeries[],
    onDamaged: (error: FleetError) => void = () => undefined,
  ): Promise<OpenDatabase<Tables>> {
    const path = join(dir, name)
    const watch = <T>(work: Promise<T>): Promise<T> =>
      work.catch((error: unknown) => {
        if (error instanceof FleetError && error.code === 'FLT_STORE_CORRUPT') onDamaged(error)
        throw error
      })
    const file = await writer.open(path, importance)
    try {
      await migrate({ file: path, series, write: file.write })
      const read = openReadHandle<Tables>(path, busyMs, onDamaged)
      openReads.add(read)
      return {
        read: read.query,
        write: (statements, options) => watch(file.write(statements, options)),
        async close() {
          openReads.delete(read)
          read.close()
          await file.close()
        },
      }
    } catch (error) {
      await file.close()
      throw error
    }
  }
}

function seriesOf(migrations: StoreOptions['migrations']): readonly MigrationSeries[] {
  const single = migrations.filter((entry): entry is Migration => 'name' in entry)
  const series = migrations.filter((entry): entry is MigrationSeries => !('name' in entry))
  return [single, ...series]
}

/** Makes the folder and the way to it durable, or says why it can't (FLT_START_DATA_DIR). */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
    const parent = await open(resolve(path, '..'), 'r')
    await parent.sync().finally(() => parent.close())
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause)
    throw fleetError('FLT_START_DATA_DIR', { path, problem }, { cause })
  }
}

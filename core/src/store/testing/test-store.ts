import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FleetError } from '@fleetupdate/sdk'
import { createStore, type StoreOptions } from '../create-store.ts'
import type { Store } from '../store.ts'

/** A real store in a folder of its own. */
export interface TestStore {
  readonly store: Store
  readonly dir: string
  /** What `onFatal` was told. */
  readonly fatal: readonly FleetError[]
  /** Closes the store and opens the same folder again. */
  reopen(): Promise<Store>
  /** Closes it and removes the folder. */
  dispose(): Promise<void>
}

/** Opens a store in a new temporary folder; the options are those of `createStore`, all optional. */
export async function openTestStore(options: Partial<StoreOptions> = {}): Promise<TestStore> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'fleetupdate-store-')))
  const fatal: FleetError[] = []
  const open = () =>
    createStore({ migrations: [], ...options, dir, onFatal: (error) => void fatal.push(error) })
  let store = await open()
  return {
    get store() {
      return store
    },
    dir,
    fatal,
    async reopen() {
      await store.close()
      store = await open()
      return store
    },
    async dispose() {
      await store.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

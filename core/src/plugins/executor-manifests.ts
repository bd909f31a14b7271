import type { Manifest } from '@fleetupdate/sdk'
import { discoverPlugins } from './discover.ts'

/** What an executor asks of the hosts it runs on. */
export type Asked = Pick<Manifest, 'privileges' | 'programs' | 'paths'>

/**
 * What the built-in executors ask for, by id. They are packages of their own, apart from their server parts; only their manifests are
 * read here, so that people see what a capability may do on their machines.
 */
export async function readExecutorManifests(folders: readonly string[]): Promise<ReadonlyMap<string, Asked>> {
  const found = await discoverPlugins(folders)
  return new Map(
    found.filter(({ problem }) => problem === undefined).map(({ id, manifest }) => [id, manifest]),
  )
}

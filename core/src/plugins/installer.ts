import { createHash } from 'node:crypto'
import type { Manifest } from '@fleetupdate/sdk'
import { type OpenedBundle, openBundle, type Statement } from '@fleetupdate/sdk/bundle'
import { fleetError } from '../errors.ts'
import type { PluginHost, PluginStatus } from './host.ts'
import type { InstalledBundles } from './installed-bundles.ts'

/** What a bundle says it is and asks for, shown before anything of it is stored or run. */
export interface BundleOffer {
  readonly id: string
  readonly version: string
  /** Of the file; to be repeated where it is confirmed. */
  readonly sha256: string
  readonly title: string
  readonly description?: string
  readonly publisher: { readonly keyId: string; readonly key: string }
  readonly expiresAt: string
  readonly asksFor: Required<Pick<Manifest, 'privileges' | 'programs' | 'paths' | 'routes' | 'dependsOn'>> & {
    /** Empty, or one line. */
    readonly network: readonly string[]
  }
  /** The version that would be replaced. */
  readonly replaces?: string
}

export interface PluginInstaller {
  /** Opens an uploaded bundle and keeps it in memory for a quarter of an hour. Throws FLT_BUNDLE_… or FLT_PLUGIN_…. */
  offer(bytes: Buffer): Promise<BundleOffer>
  /**
   * Installs and starts exactly what was shown. Where a new version does not start, the one before is put back and
   * FLT_PLUGIN_NOT_STARTED thrown; the first version of a plugin stays as it is, failed.
   */
  confirm(id: string, sha256: string): Promise<PluginStatus>
  /** Stops a plugin and deletes its files. Its database stays. */
  remove(id: string): Promise<void>
  /** `built-in`, `bundle`, or `folder` where somebody put it into the data folder by hand. */
  originOf(status: PluginStatus): { readonly origin: string; readonly publisher?: string }
}

const waitingMs = 15 * 60_000
const waitingAtMost = 4

/** The admin's way to bring plugins in and out while the server runs. */
export function createInstaller(host: PluginHost, bundles: InstalledBundles): PluginInstaller {
  const waiting = new Map<string, { readonly id: string; readonly bytes: Buffer; readonly untilMs: number }>()

  const isInstalled = ({ plugin }: PluginStatus): boolean => plugin.dir === bundles.folderOf(plugin.id)
  const find = (id: string): PluginStatus | undefined => host.list().find(({ plugin }) => plugin.id === id)
  const requireInstalled = (id: string): void => {
    const status = find(id)
    if (status && !isInstalled(status)) throw fleetError('FLT_PLUGIN_BUILT_IN', { id })
  }
  const open = async (bytes: Buffer): Promise<OpenedBundle> => {
    const bundle = openBundle(bytes)
    const { id, version } = bundle.statement
    requireInstalled(id)
    const problem = refusal(bundle.statement, (await bundles.read(id))?.statement)
    if (problem !== undefined) throw fleetError('FLT_PLUGIN_REFUSED', { id, version, problem })
    return bundle
  }

  return {
    async offer(bytes) {
      const bundle = await open(bytes)
      const { id } = bundle.statement
      const sha256 = createHash('sha256').update(bytes).digest('hex')
      for (const [other, { id: otherId, untilMs }] of waiting)
        if (otherId === id || untilMs < Date.now()) waiting.delete(other)
      const [oldest] = waiting.keys()
      if (oldest !== undefined && waiting.size >= waitingAtMost) waiting.delete(oldest)
      waiting.set(sha256, { id, bytes, untilMs: Date.now() + waitingMs })
      return describe(bundle, sha256, find(id)?.plugin.version)
    },
    async confirm(id, sha256) {
      const found = waiting.get(sha256)
      if (!found || found.id !== id || found.untilMs < Date.now())
        throw fleetError('FLT_PLUGIN_OFFER_GONE', { id: id.slice(0, 64) })
      waiting.delete(sha256)
      const { version } = (await open(found.bytes)).statement
      const before = await bundles.read(id)
      const status = await host.install(await bundles.write(found.bytes))
      if (status.state === 'active' || !before) return status
      await host.install(await bundles.write(before.bytes))
      const { reason = status.state } = status
      throw fleetError('FLT_PLUGIN_NOT_STARTED', { id, version, reason, before: before.statement.version })
    },
    async remove(id) {
      requireInstalled(id)
      await host.remove(id)
      await bundles.remove(id)
    },
    originOf(status) {
      if (!isInstalled(status)) return { origin: 'built-in' }
      const bundle = bundles.summary(status.plugin.id)
      return bundle ? { origin: 'bundle', publisher: bundle.keyId } : { origin: 'folder' }
    },
  }
}

/** Why it is not taken in beside what is installed; agents judge by their own trust file. */
function refusal(statement: Statement, installed: Statement | undefined): string | undefined {
  if (Date.parse(statement.expiresAt) <= Date.now()) return `it expired at ${statement.expiresAt}`
  if (!installed) return undefined
  if (installed.publisher !== statement.publisher)
    return 'another publisher signed the installed version; remove that one first, if you trust the new publisher'
  if (statement.counter < installed.counter)
    return `it is older (${statement.counter}) than the installed one (${installed.counter})`
  return undefined
}

function describe(
  { statement, keyId }: OpenedBundle,
  sha256: string,
  replaces: string | undefined,
): BundleOffer {
  const { id, version, manifest, publisher, expiresAt } = statement
  const {
    title = id,
    description,
    privileges = [],
    programs = [],
    paths = [],
    routes = [],
    dependsOn = [],
    network = false,
  } = manifest
  return {
    id,
    version,
    sha256,
    title,
    ...(description === undefined ? {} : { description }),
    publisher: { keyId, key: publisher },
    expiresAt,
    asksFor: { privileges, programs, paths, routes, dependsOn, network: network ? ['any address'] : [] },
    ...(replaces === undefined ? {} : { replaces }),
  }
}

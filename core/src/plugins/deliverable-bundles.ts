import type { DeliverableBundles } from '../agents/delivery.ts'
import type { PluginHost } from './host.ts'
import type { InstalledBundles } from './installed-bundles.ts'

/**
 * The installed bundles that agents should have: an executor is part of the bundle, and this very version of the plugin is active. While one
 * version replaces another none of both counts, so that no agent gets what may be taken back.
 */
export function createDeliverableBundles(
  host: Pick<PluginHost, 'list'>,
  installed: Pick<InstalledBundles, 'summary' | 'readPart'>,
): DeliverableBundles {
  const wanted = () =>
    host.list().flatMap(({ plugin, state }) => {
      const bundle = installed.summary(plugin.id)
      if (!bundle?.hasExecutor || bundle.folder !== plugin.dir) return []
      if (state !== 'active' || bundle.version !== plugin.version) return []
      const { version, sha256, bytes } = bundle
      return [{ id: plugin.id, version, sha256, bytes }]
    })
  return {
    wanted,
    async read(sha256, from, length) {
      const item = wanted().find((one) => one.sha256 === sha256)
      return item && from < item.bytes ? installed.readPart(item.id, from, length) : undefined
    },
  }
}

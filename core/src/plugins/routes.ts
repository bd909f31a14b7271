import type { CommandDefinition } from '@fleetupdate/sdk'
import type { Route } from '../http/routes.ts'
import type { Asked } from './executor-manifests.ts'
import type { PluginHost, PluginStatus } from './host.ts'
import type { PanelAssets } from './panel-assets.ts'

export interface PluginRouteDeps {
  readonly host: PluginHost
  readonly panels: PanelAssets
  /** What executors ask for that are packages of their own. */
  readonly executors: ReadonlyMap<string, Asked>
  /** `<version>/<contract hash>` → number of agents, per plugin id. */
  executorCounts(): Readonly<Record<string, Readonly<Record<string, number>>>>
}

/** `GET /api/plugins`: the manifest from which the dashboard builds itself. */
export function pluginRoutes(deps: PluginRouteDeps): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/api/plugins',
      rule: { role: 'viewer' },
      summary: 'All plugins with state, contract, panel and executor versions',
      handle: async () => ({ items: await pluginItems(deps) }),
    },
  ]
}

/** The items of `GET /api/plugins`; also what the live topic `plugins` sends. */
export async function pluginItems({
  host,
  panels,
  executors,
  executorCounts,
}: PluginRouteDeps): Promise<readonly object[]> {
  const counts = executorCounts()
  return Promise.all(
    host.list().map(async (status) => {
      const { id, version, manifest } = status.plugin
      const asked: Asked = { ...executors.get(id), ...manifest }
      const panel = status.state === 'active' ? await panels.entry(status.plugin) : undefined
      return {
        id,
        version,
        title: manifest.title ?? id,
        ...(manifest.description === undefined ? {} : { description: manifest.description }),
        state: status.state,
        ...(status.reason === undefined ? {} : { reason: status.reason }),
        ...contractOf(host, status),
        ...(panel ? { panel } : {}),
        privileges: asked.privileges ?? [],
        programs: asked.programs ?? [],
        paths: asked.paths ?? [],
        agents: counts[id] ?? {},
      }
    }),
  )
}

function contractOf(host: PluginHost, { plugin }: PluginStatus): object {
  const registered = host.contracts.contract(plugin.id)
  if (!registered) return {}
  const { facts, facets, commands } = registered.contract
  return {
    hash: registered.hash,
    contract: {
      facts,
      facets: Object.keys(facets),
      commands: Object.fromEntries(
        Object.entries<CommandDefinition>(commands).map(([name, definition]) => [
          name,
          { role: 'operator', timeoutSeconds: 600, endless: false, dangerous: false, ...definition },
        ]),
      ),
    },
  }
}

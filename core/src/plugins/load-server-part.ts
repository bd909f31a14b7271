import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Plugin } from '@fleetupdate/sdk'
import type { Discovered } from './discover.ts'

/** Imports a plugin's server part as it stands on the disk now. Throws a sentence where it is none. */
export async function loadServerPart(plugin: Discovered): Promise<Plugin> {
  if (plugin.manifest.server === undefined) throw new Error('its manifest names no server part')
  const file = join(plugin.dir, plugin.manifest.server)
  if (!existsSync(file))
    throw new Error(`its server part ${plugin.manifest.server} is missing; build the plugin first`)
  const { mtimeMs } = await stat(file)
  const module: { default?: unknown } = await import(`${pathToFileURL(file).href}?v=${mtimeMs}`)
  if (!isPlugin(module.default)) throw new Error('its server part has no default export made by definePlugin')
  return module.default
}

function isPlugin(value: unknown): value is Plugin {
  if (typeof value !== 'object' || value === null) return false
  const { contract, migrations, setup } = value as Partial<Plugin>
  return (
    typeof contract?.id === 'string' &&
    typeof contract.facts === 'object' &&
    typeof contract.facets === 'object' &&
    typeof contract.commands === 'object' &&
    Array.isArray(migrations) &&
    (setup === undefined || typeof setup === 'function')
  )
}

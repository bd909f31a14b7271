import { cpSync, mkdtempSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildPlugin } from '@fleetupdate/sdk/build'

/** Builds the capability `lines`, which prints what it is told, and answers the folder it stands in: a folder of plugins. */
export async function buildLines(): Promise<string> {
  // Beside this bundle, so that its sources find the sdk as they do in the repository.
  const plugins = mkdtempSync(join(dirname(fileURLToPath(import.meta.url)), 'plugins-'))
  const target = join(plugins, 'lines')
  cpSync(join(process.cwd(), 'bench/lines'), target, { recursive: true })
  await buildPlugin(target)
  return plugins
}

import { readdir, readFile } from 'node:fs/promises'
import { basename, join, resolve, sep } from 'node:path'
import { Manifest, sdkProblem } from '@fleetupdate/sdk'
import { Compile } from 'typebox/compile'

/** A plugin folder as its manifest describes it, before any of its code ran. */
export interface Discovered {
  readonly id: string
  readonly dir: string
  readonly version: string
  readonly manifest: Manifest
  /** Why it can't be loaded, as a sentence; undefined where nothing is wrong so far. */
  readonly problem?: string
}

const manifestCheck = Compile(Manifest)

/** Reads the manifest of every sub-folder. A broken one becomes an entry with its problem; nothing throws. */
export async function discoverPlugins(folders: readonly string[]): Promise<readonly Discovered[]> {
  const found: Discovered[] = []
  for (const folder of folders) {
    const names = await readdir(folder).catch(() => [])
    for (const name of names.sort()) {
      const entry = await readPlugin(join(folder, name), name)
      if (entry) found.push(entry)
    }
  }
  return markDuplicates(found)
}

/** Reads the manifest of one folder; undefined where it holds no plugin. */
export function discoverPlugin(dir: string): Promise<Discovered | undefined> {
  return readPlugin(dir, basename(dir))
}

async function readPlugin(dir: string, name: string): Promise<Discovered | undefined> {
  const text = await readFile(join(dir, 'package.json'), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const broken = (problem: string): Discovered => ({
    id: name,
    dir,
    version: '0',
    manifest: { id: name, sdk: '0' },
    problem,
  })
  let json: { version?: unknown; fleetupdate?: unknown }
  try {
    json = JSON.parse(text)
  } catch (error) {
    return broken(`its package.json is not JSON: ${error instanceof Error ? error.message : error}`)
  }
  const { fleetupdate: manifest } = json
  if (manifest === undefined) return undefined
  if (!manifestCheck.Check(manifest)) {
    const problems = manifestCheck.Errors(manifest).map((e) => `${e.instancePath || '/'} ${e.message}`)
    return broken(`its manifest does not fit: ${problems.slice(0, 3).join('; ')}`)
  }
  const version = typeof json.version === 'string' ? json.version : '0'
  const problem = problemOf(manifest, dir)
  return { id: manifest.id, dir, version, manifest, ...(problem ? { problem } : {}) }
}

function problemOf(manifest: Manifest, dir: string): string | undefined {
  const unfit = sdkProblem(manifest.sdk, 'server')
  if (unfit !== undefined) return unfit
  const files = [
    manifest.server,
    manifest.executor,
    manifest.panel?.module,
    ...(manifest.panel?.styles ?? []),
  ]
  const outside = files.find((file) => file !== undefined && !resolve(dir, file).startsWith(dir + sep))
  return outside === undefined ? undefined : `the path "${outside}" leaves the plugin's folder`
}

/** The first one keeps the id; each other is listed beside it, under a name that no plugin can have. */
function markDuplicates(found: readonly Discovered[]): readonly Discovered[] {
  const seen = new Map<string, string[]>()
  return found.map((plugin) => {
    const dirs = seen.get(plugin.id) ?? []
    seen.set(plugin.id, [...dirs, plugin.dir])
    if (dirs.length === 0) return plugin
    const problem = `another plugin already has the id "${plugin.id}" (${dirs[0]}); remove one of the two`
    return { ...plugin, id: `${plugin.id}#${dirs.length + 1}`, problem }
  })
}

import { existsSync, statSync } from 'node:fs'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { type BuildOptions, build } from 'esbuild'
import { Compile } from 'typebox/compile'
import { Manifest } from '../contract/manifest.ts'
import { contractAsJson } from './contract-json.ts'

export interface BuiltFile {
  /** Relative to the plugin's folder. */
  readonly file: string
  readonly bytes: number
}

export interface BuildPluginOptions {
  /** Errors are thrown alone, not printed too. */
  readonly quiet?: boolean
}

const manifestCheck = Compile(Manifest)

/**
 * Builds one plugin folder into self-contained ESM: `src/server.ts` → `dist/server.js`, `src/executor.ts` or `src/index.ts` →
 * `dist/executor.js`, `src/panel/index.ts` → `dist/panel/`. Throws with one sentence where the manifest does not fit.
 */
export async function buildPlugin(
  folder: string,
  { quiet = false }: BuildPluginOptions = {},
): Promise<readonly BuiltFile[]> {
  const dir = resolve(folder)
  await readManifest(dir)
  await rm(join(dir, 'dist'), { recursive: true, force: true })
  await mkdir(join(dir, 'dist'))
  const faces = [
    { entry: 'src/server.ts', output: 'dist/server.js', plugins: [] },
    { entry: 'src/executor.ts', output: 'dist/executor.js', plugins: [contractAsJson()] },
    { entry: 'src/index.ts', output: 'dist/executor.js', plugins: [contractAsJson()] },
  ]
  const files: string[] = []
  for (const { entry, output, plugins } of faces) {
    if (!existsSync(join(dir, entry))) continue
    await build({
      ...selfContained(join(dir, entry), join(dir, output), plugins),
      logLevel: quiet ? 'silent' : 'warning',
    })
    files.push(output)
  }
  if (existsSync(join(dir, 'src/panel/index.ts'))) {
    const { buildPanel } = await import('./build-panel.ts')
    files.push(...(await buildPanel(dir, { quiet })))
  }
  return files.map((file) => ({
    file: relative(dir, join(dir, file)),
    bytes: statSync(join(dir, file)).size,
  }))
}

/** The `fleetupdate` key of a folder's package.json, checked. */
export async function readManifest(dir: string): Promise<Manifest> {
  const file = join(dir, 'package.json')
  const { fleetupdate } = JSON.parse(await readFile(file, 'utf8')) as { fleetupdate?: unknown }
  if (manifestCheck.Check(fleetupdate)) return fleetupdate
  const problems = [...manifestCheck.Errors(fleetupdate)].map(
    (e) => `${e.instancePath || 'fleetupdate'} ${e.message}`,
  )
  throw new Error(`${file}: the key "fleetupdate" does not fit: ${problems.slice(0, 3).join('; ')}`)
}

function selfContained(entry: string, outfile: string, plugins: BuildOptions['plugins']): BuildOptions {
  return {
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    plugins: plugins ?? [],
    legalComments: 'none',
  }
}

export { contractAsJson, modulesAsJson } from './contract-json.ts'

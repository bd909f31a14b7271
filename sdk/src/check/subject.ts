import { existsSync, readdirSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { readManifest } from '../build/index.ts'
import type { AnyContract } from '../contract/contract.ts'
import type { Manifest } from '../contract/manifest.ts'
import type { Migration } from '../contract/plugin.ts'

/** A built plugin folder as the rules see it. */
export interface Subject {
  readonly folder: string
  readonly name: string
  readonly manifest: Manifest
  /** Of the server part, or of the executor where the folder has no server part. */
  readonly contract: AnyContract
  readonly migrations: readonly Migration[]
  /** Path in the folder → text, of everything under `src`. */
  readonly sources: ReadonlyMap<string, string>
  readonly readme: string | undefined
  /** Path in the folder → bytes, of everything that was built. */
  readonly built: ReadonlyMap<string, number>
}

/** Reads and loads a built plugin folder. Throws a sentence where it was not built, or its manifest does not fit. */
export async function readSubject(path: string): Promise<Subject> {
  const folder = resolve(path)
  const manifest = await readManifest(folder)
  const entry = manifest.server ?? manifest.executor
  if (entry === undefined)
    throw new Error(`${folder}: the manifest names neither "server" nor "executor". Add one to package.json.`)
  for (const file of [manifest.server, manifest.executor, manifest.panel?.module])
    if (file !== undefined && !existsSync(join(folder, file)))
      throw new Error(`${join(folder, file)} is missing. Run: npx fleetupdate-build ${path}`)
  const part = await loadPart(join(folder, entry))
  const sources = new Map<string, string>()
  for (const file of filesUnder(folder, 'src')) sources.set(file, await readFile(join(folder, file), 'utf8'))
  return {
    folder,
    name: basename(folder),
    manifest,
    contract: part.contract,
    migrations: part.migrations ?? [],
    sources,
    readme: await readFile(join(folder, 'README.md'), 'utf8').catch(() => undefined),
    built: new Map(filesUnder(folder, 'dist').map((file) => [file, statSync(join(folder, file)).size])),
  }
}

interface Part {
  readonly contract: AnyContract
  readonly migrations?: readonly Migration[]
}

async function loadPart(file: string): Promise<Part> {
  const { mtimeMs } = statSync(file)
  const module: { default?: unknown } = await import(`${pathToFileURL(file).href}?v=${mtimeMs}`)
  const part = module.default
  if (typeof part !== 'object' || part === null || !('contract' in part))
    throw new Error(`${file} has no default export made by definePlugin or defineExecutor.`)
  return part as Part
}

function filesUnder(folder: string, part: string): readonly string[] {
  const base = join(folder, part)
  if (!existsSync(base)) return []
  return readdirSync(base, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort()
}

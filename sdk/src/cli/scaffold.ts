import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { packageSpecs } from './package-source.ts'

/** Writes the template as one folder of its own, named after the id, whose dependencies npm can find. */
export async function writeStandalone(template: string, folder: string, id: string): Promise<void> {
  for (const [file, text] of await readTemplate(template, id))
    await put(join(folder, file), file === 'package.json' ? await withSources(text) : text)
  // Not a file of the template: npm leaves files of that name out of packages.
  await put(join(folder, '.gitignore'), 'node_modules/\ndist/\n*.fleetplugin\n')
}

async function withSources(text: string): Promise<string> {
  const json = JSON.parse(text) as { readonly devDependencies: object }
  const devDependencies = { ...json.devDependencies, ...(await packageSpecs()) }
  return `${JSON.stringify({ ...json, devDependencies }, null, 2)}\n`
}

/**
 * Writes the template as the two folders of a built-in capability: contract, server part and panel in one, the executor in the other.
 * The test of the whole fleet stays behind: in the repository the end-to-end tests do that.
 */
export async function writeInRepository(
  template: string,
  folders: { readonly plugin: string; readonly executor: string },
  id: string,
): Promise<void> {
  const files = await readTemplate(template, id)
  const { fleetupdate } = JSON.parse(files.get('package.json') ?? '{}') as { fleetupdate: ManifestJson }
  const { executor, programs, server, panel, ...shared } = fleetupdate
  await put(
    join(folders.plugin, 'package.json'),
    packageJson(`plugin-${id}`, {}, { ...shared, server, panel }),
  )
  await put(
    join(folders.executor, 'package.json'),
    packageJson(
      `executor-${id}`,
      { [`@fleetupdate/plugin-${id}`]: '0.1.0' },
      { ...shared, executor, programs },
    ),
  )
  for (const [folder, tag] of [
    [folders.plugin, 'plugin'],
    [folders.executor, 'executor'],
  ] as const) {
    await put(
      join(folder, 'tsconfig.json'),
      '{ "extends": "../../tsconfig.base.json", "include": ["src"] }\n',
    )
    await put(join(folder, 'turbo.json'), `{ "extends": ["//"], "tags": ["${tag}"] }\n`)
  }
  for (const [file, text] of files) {
    const moved = executorFiles[file]
    if (moved !== undefined) await put(join(folders.executor, moved), atHome(text, id))
    else if (!ownFiles.has(file)) await put(join(folders.plugin, file), text)
  }
}

type ManifestJson = Readonly<Record<string, unknown>>

const executorFiles: Readonly<Record<string, string>> = {
  'src/executor.ts': 'src/index.ts',
  'src/executor.test.ts': 'src/index.test.ts',
}
const ownFiles: ReadonlySet<string> = new Set(['package.json', 'tsconfig.json', 'src/plugin.test.ts'])

/** Every file of the template with the names of the new plugin in it. */
async function readTemplate(template: string, id: string): Promise<ReadonlyMap<string, string>> {
  const words = id.split('-')
  const camel = words.map((word, i) => (i === 0 ? word : capital(word))).join('')
  const title = capital(words.join(' '))
  const files = new Map<string, string>()
  for (const entry of await readdir(template, { recursive: true, withFileTypes: true })) {
    const path = relative(template, join(entry.parentPath, entry.name))
    if (!entry.isFile() || /^(node_modules|dist)[\\/]/.test(path)) continue
    const text = await readFile(join(template, path), 'utf8')
    files.set(
      path,
      text.replaceAll('my-plugin', id).replaceAll('myPlugin', camel).replaceAll('My plugin', title),
    )
  }
  return files
}

function packageJson(name: string, dependencies: Readonly<Record<string, string>>, manifest: object): string {
  const json = {
    name: `@fleetupdate/${name}`,
    version: '0.1.0',
    private: true,
    license: 'MIT',
    type: 'module',
    exports: {
      ...(name.startsWith('plugin-') ? { './contract': './src/contract.ts' } : {}),
      './package.json': './package.json',
    },
    scripts: { build: 'fleetupdate-build', typecheck: 'tsc -p tsconfig.json' },
    dependencies: { ...dependencies, '@fleetupdate/sdk': '0.1.0' },
    fleetupdate: manifest,
  }
  return `${JSON.stringify(json, null, 2)}\n`
}

function atHome(text: string, id: string): string {
  return text
    .replace("'./contract.ts'", `'@fleetupdate/plugin-${id}/contract'`)
    .replace("'./executor.ts'", "'./index.ts'")
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1)
}

async function put(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, text)
}

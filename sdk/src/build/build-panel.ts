import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build as bundle } from 'esbuild'
import type { Plugin } from 'vite'
import { contractAsJson } from './contract-json.ts'

/** What the dashboard gives to every panel at run time; everything else is bundled. */
export const panelExternals = ['vue', 'pinia', '@fleetupdate/sdk/panel'] as const

/**
 * Builds `src/panel/index.ts` of a plugin's folder into one module, `dist/panel/panel.js`, and its styles, `dist/panel/panel.css`. Answers the
 * files it made, relative to the folder. Throws where a language lacks a message that another one has. Needs the packages
 * `vite` and `@vitejs/plugin-vue` beside the sdk.
 */
export async function buildPanel(
  dir: string,
  { quiet = false }: { readonly quiet?: boolean } = {},
): Promise<readonly string[]> {
  await checkMessages(join(dir, 'src/panel/messages'))
  const { build } = await import('vite')
  const { default: vue } = await import('@vitejs/plugin-vue')
  await build({
    root: dir,
    configFile: false,
    logLevel: quiet ? 'silent' : 'warn',
    define: { 'process.env.NODE_ENV': '"production"' },
    plugins: [contracts(), vue()],
    build: {
      outDir: 'dist/panel',
      emptyOutDir: true,
      target: 'es2022',
      lib: { entry: 'src/panel/index.ts', formats: ['es'], fileName: () => 'panel.js', cssFileName: 'panel' },
      rolldownOptions: { external: [...panelExternals], output: { codeSplitting: false } },
    },
  })
  return ['dist/panel/panel.js', 'dist/panel/panel.css'].filter((file) => existsSync(join(dir, file)))
}

/** A panel may import its plugin's contract: as data, without the schema library. */
function contracts(): Plugin {
  return {
    name: 'fleetupdate:contracts',
    async load(id) {
      if (!/[\\/]contract\.ts$/.test(id)) return undefined
      const { outputFiles } = await bundle({
        entryPoints: [id],
        bundle: true,
        write: false,
        format: 'esm',
        logLevel: 'silent',
        plugins: [contractAsJson()],
      })
      return outputFiles[0]?.text
    },
  }
}

/** Each `messages/<language>.json` must have the same keys as the others. */
async function checkMessages(folder: string): Promise<void> {
  const files = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.json'))
  const languages = await Promise.all(
    files.map(async (name) => ({
      name,
      keys: new Set(Object.keys(JSON.parse(await readFile(join(folder, name), 'utf8')))),
    })),
  )
  const all = new Set(languages.flatMap(({ keys }) => [...keys]))
  const missing = languages.flatMap(({ name, keys }) =>
    [...all].filter((key) => !keys.has(key)).map((key) => `${join(folder, name)} lacks "${key}"`),
  )
  if (missing.length > 0) throw new Error(`Messages are missing: ${missing.join('; ')}.`)
}

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'vite'

/** What the dashboard and all panels share: one instance each, found through the import map. */
export const sharedModules = ['vue', 'pinia', '@fleetupdate/sdk/panel'] as const

const require = createRequire(import.meta.url)

/**
 * Emits vue, pinia and the sdk's panel module as files of their own and puts an inline import map into the page, so that the
 * dashboard and panels built by anybody import the very same ones.
 */
export function shareModules(): Plugin {
  const files = new Map<string, string>()
  return {
    name: 'fleetupdate:share-modules',
    apply: 'build',
    async buildStart() {
      files.clear()
      for (const name of sharedModules) {
        const code = await moduleCode(name)
        const hash = createHash('sha256').update(code).digest('base64url').slice(0, 8)
        const fileName = `assets/shared-${name.replaceAll(/[^a-z]+/g, '-').replace(/^-/, '')}-${hash}.js`
        files.set(name, fileName)
        this.emitFile({ type: 'asset', fileName, source: code })
      }
    },
    transformIndexHtml: {
      order: 'post',
      handler: () => [
        {
          tag: 'script',
          attrs: { type: 'importmap' },
          children: JSON.stringify({
            imports: Object.fromEntries([...files].map(([name, file]) => [name, `./${file}`])),
          }),
          injectTo: 'head-prepend',
        },
        ...[...files.values()].map((file) => ({
          tag: 'link',
          attrs: { rel: 'modulepreload', href: `./${file}` },
          injectTo: 'head' as const,
        })),
      ],
    },
  }
}

async function moduleCode(name: (typeof sharedModules)[number]): Promise<string> {
  if (name === 'vue') return packageFile('vue', 'dist/vue.runtime.esm-browser.prod.js')
  if (name === 'pinia') return packageFile('pinia', 'dist/pinia.esm-browser.prod.js')
  return bundled(fileURLToPath(import.meta.resolve('../../sdk/src/panel/index.ts')))
}

/** The whole module, with every export: a panel may use what the dashboard does not. */
async function packageFile(name: string, file: string): Promise<string> {
  return readFile(join(dirname(require.resolve(`${name}/package.json`)), file), 'utf8')
}

async function bundled(entry: string): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: 'warn',
    build: {
      write: false,
      target: 'es2022',
      lib: { entry, formats: ['es'], fileName: 'module' },
      rolldownOptions: { external: ['vue'] },
    },
  })
  const [output] = Array.isArray(result) ? result : [result]
  const chunk = output && 'output' in output ? output.output.find((file) => file.type === 'chunk') : undefined
  if (chunk?.type !== 'chunk') throw new Error(`${entry} gave no module`)
  return chunk.code
}

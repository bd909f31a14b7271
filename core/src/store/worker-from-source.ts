import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'

let bundled: Promise<URL> | undefined

/** The writer's thread as a `data:` URL, for runs from the sources (tests). Bundled once a process. */
export function workerFromSource(): Promise<URL> {
  bundled ??= bundle()
  return bundled
}

async function bundle(): Promise<URL> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('./worker.ts', import.meta.url))],
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    conditions: ['source'],
    plugins: [nativeModule],
  })
  return new URL(
    `data:text/javascript;base64,${Buffer.from(outputFiles[0]?.contents ?? '').toString('base64')}`,
  )
}

/** A `data:` module resolves no bare names: the native module is required from here. */
const nativeModule: Plugin = {
  name: 'native-module',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^better-sqlite3$/ }, () => ({ path: 'better-sqlite3', namespace: 'native' }))
    onLoad({ filter: /.*/, namespace: 'native' }, () => {
      const path = createRequire(import.meta.url).resolve('better-sqlite3')
      return {
        contents: `import { createRequire } from 'node:module'
export default createRequire(${JSON.stringify(path)})(${JSON.stringify(path)})`,
      }
    })
  },
}

// Bundles the server into dist/; native modules stay outside and are loaded from node_modules.
import { dirname, join } from 'node:path'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const here = dirname(fileURLToPath(import.meta.url))

/** Packages with native code: they are loaded from the node_modules beside the bundle. */
export const nativePackages = ['better-sqlite3', 'argon2']

/** Builds main.js and store-worker.js into a folder. */
export async function buildServer(outdir = join(here, 'dist'), { version } = {}) {
  await build({
    absWorkingDir: here,
    entryPoints: { main: 'src/main.ts', 'store-worker': 'src/store/worker.ts' },
    outdir,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    sourcemap: version === undefined,
    conditions: ['source'],
    external: nativePackages,
    ...(version === undefined ? {} : { define: { __FLEET_VERSION__: JSON.stringify(version) } }),
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    logLevel: 'warning',
  })
}

if (argv[1] === fileURLToPath(import.meta.url)) await buildServer()

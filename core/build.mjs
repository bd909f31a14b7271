// Bundles the server into dist/; native modules stay outside and are loaded from node_modules.
import { build } from 'esbuild'

await build({
  entryPoints: { main: 'src/main.ts', 'store-worker': 'src/store/worker.ts' },
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  sourcemap: true,
  conditions: ['source'],
  external: ['better-sqlite3', 'argon2'],
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  logLevel: 'warning',
})

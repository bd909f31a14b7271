// `npm run bench`: bundles the benchmarks and runs them; prints one table of ratios. Arguments name the figures to run.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { prepare, root, run, say } from './setup.mjs'

await prepare()
const outdir = join(root, 'node_modules', '.cache', 'bench')
rmSync(outdir, { recursive: true, force: true })
await build({
  entryPoints: {
    main: 'bench/src/main.ts',
    'ceiling-http': 'bench/src/ceilings/http.ts',
    'ceiling-ws': 'bench/src/ceilings/ws.ts',
    'ceiling-lines': 'bench/src/ceilings/lines.ts',
  },
  absWorkingDir: root,
  outdir,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  conditions: ['source'],
  external: ['better-sqlite3', 'argon2', 'esbuild', 'vite', '@vitejs/plugin-vue'],
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  logLevel: 'warning',
})
say('Measuring …')
await run(process.execPath, [join(outdir, 'main.js'), ...process.argv.slice(2)])

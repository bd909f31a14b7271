// `npm run attacks`: bundles the attack suite and runs it against a real server; prints one row per attack.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { prepare, root, run, say } from './setup.mjs'

if (process.env.ATTACKS_AS_BUILT !== '1') await prepare()
const cache = join(root, 'node_modules', '.cache', 'attacks')
mkdirSync(cache, { recursive: true })
const outdir = mkdtempSync(join(cache, 'suite-'))
try {
  await build({
    entryPoints: { main: 'e2e/attacks/main.ts' },
    absWorkingDir: root,
    outdir,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    conditions: ['source'],
    external: ['better-sqlite3', 'argon2', 'esbuild', 'vite', '@vitejs/plugin-vue', 'playwright-core'],
    // So that the suite finds the checkout although it was bundled.
    define: { 'import.meta.url': JSON.stringify(pathToFileURL(join(root, 'e2e/repository.ts')).href) },
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    logLevel: 'warning',
  })
  say('Attacking …')
  await run(process.execPath, [join(outdir, 'main.js'), ...process.argv.slice(2)])
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
} finally {
  rmSync(outdir, { recursive: true, force: true })
}

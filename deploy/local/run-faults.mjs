// Bundles the fault lab and runs it against what is built already: installs nothing, builds nothing of the product.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { root, say } from './setup.mjs'

const cache = join(root, 'node_modules', '.cache', 'faults')
mkdirSync(cache, { recursive: true })
const outdir = mkdtempSync(join(cache, 'lab-'))
try {
  await build({
    entryPoints: { main: 'e2e/faults/main.ts' },
    absWorkingDir: root,
    outdir,
    bundle: true,
    splitting: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    conditions: ['source'],
    external: ['better-sqlite3', 'argon2', 'esbuild', 'vite', '@vitejs/plugin-vue'],
    // So that the lab finds the checkout although it was bundled.
    define: { 'import.meta.url': JSON.stringify(pathToFileURL(join(root, 'e2e/repository.ts')).href) },
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    logLevel: 'warning',
  })
  say('Breaking things …')
  const lab = spawn(process.execPath, [join(outdir, 'main.js'), ...process.argv.slice(2)], {
    cwd: root,
    stdio: 'inherit',
  })
  // Ctrl-C reaches the lab too, which ends what it started; this process waits for it.
  process.on('SIGINT', () => undefined)
  process.on('SIGTERM', () => lab.kill('SIGTERM'))
  process.exitCode = await new Promise((resolve) => lab.on('exit', (code) => resolve(code ?? 1)))
} finally {
  rmSync(outdir, { recursive: true, force: true })
}

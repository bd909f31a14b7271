// Writes the reference pages that are derived from code; `--check` only compares, and fails where one is stale.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { root, run, toolEnvironment } from './setup.mjs'

const checkOnly = process.argv.includes('--check')
// The pages about the SDK are read from what it was built to: a stale build would agree with itself.
await run(
  join(root, 'node_modules/.bin/turbo'),
  ['run', 'build', '--filter=@fleetupdate/sdk', '--output-logs=errors-only', '--no-update-notifier'],
  { stdio: ['ignore', 'ignore', 'inherit'], env: toolEnvironment() },
)
const bundle = join(root, 'node_modules', '.cache', 'generate.mjs')
await build({
  entryPoints: [join(root, 'deploy/local/reference.ts')],
  outfile: bundle,
  bundle: true,
  platform: 'node',
  format: 'esm',
  conditions: ['source'],
  external: ['better-sqlite3', 'argon2', 'esbuild', 'vite', '@vitejs/plugin-vue', '@microsoft/api-extractor'],
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  logLevel: 'warning',
})
const { references } = await import(`${pathToFileURL(bundle).href}?t=${Date.now()}`)

const stale = []
for (const [file, text] of Object.entries(await references(root))) {
  const path = join(root, file)
  if (existsSync(path) && readFileSync(path, 'utf8') === text) continue
  stale.push(file)
  if (!checkOnly) writeFileSync(path, text)
}
if (stale.length === 0) console.log('All generated files are up to date.')
else if (checkOnly) {
  console.error(`Stale: ${stale.join(', ')}. Run: npm run generate`)
  process.exit(1)
} else console.log(`Written: ${stale.join(', ')}`)

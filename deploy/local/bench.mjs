// `npm run bench`: bundles the benchmarks and runs one of their programs: `main` (the table), `growth` or `soak`.
import { mkdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { build } from 'esbuild'
import { prepare, root, run, say } from './setup.mjs'

const programs = ['main', 'growth', 'soak']
const given = process.argv.slice(2)
const program = programs.includes(given[0]) ? given.shift() : 'main'
const profile = takeProfile(given)

await prepare()
const outdir = join(root, 'node_modules', '.cache', 'bench')
rmSync(outdir, { recursive: true, force: true })
await build({
  entryPoints: {
    ...Object.fromEntries(programs.map((name) => [name, `bench/src/${name}.ts`])),
    'sim-child': 'bench/src/load/sim-child.ts',
    'ceiling-fleet': 'bench/src/ceilings/fleet.ts',
    'ceiling-idle': 'bench/src/ceilings/idle.ts',
    'ceiling-http': 'bench/src/ceilings/http.ts',
    'ceiling-lines': 'bench/src/ceilings/lines.ts',
    'ceiling-start': 'bench/src/ceilings/start.ts',
    'ceiling-ws': 'bench/src/ceilings/ws.ts',
  },
  absWorkingDir: root,
  outdir,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  conditions: ['source'],
  external: ['better-sqlite3', 'argon2', 'esbuild', 'vite', '@vitejs/plugin-vue', 'playwright-core'],
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  logLevel: 'warning',
})
say('Measuring …')
// It has said itself what is wrong.
await run(process.execPath, [...profile, join(outdir, `${program}.js`), ...given]).catch(() =>
  process.exit(1),
)
if (profile.length > 0) say(`The profiles are in ${profile[1].replace(/^--cpu-prof-dir=/, '')}.`)

/** `--profile DIR` as Node's own options: every process that a benchmark forks inherits them. */
function takeProfile(args) {
  const at = args.indexOf('--profile')
  if (at < 0) return []
  const [, dir = 'profiles'] = args.splice(at, 2)
  mkdirSync(resolve(dir), { recursive: true })
  return ['--cpu-prof', `--cpu-prof-dir=${resolve(dir)}`]
}

// `npm test`: sets itself up, then runs every check and every test, and ends with one line of counts.
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { prepare, root, say, toolEnvironment } from './setup.mjs'

const bin = (name) => join(root, 'node_modules', '.bin', name)
const total = { passed: 0, failed: 0, skipped: 0 }

await prepare()
await check('Types', bin('turbo'), [
  'run',
  'typecheck',
  '--concurrency=3',
  '--output-logs=errors-only',
  '--no-update-notifier',
])
await check('Lint and format', bin('biome'), ['check', '--error-on-warnings', '.'])
await check('Room boundaries', bin('turbo'), ['boundaries'])
await check('Versions of the dependencies', process.execPath, ['deploy/local/check-dependencies.mjs'])
await check('Footprint of the capabilities', process.execPath, ['deploy/local/check-footprint.mjs'])
await check('Rules of the plugins', process.execPath, [
  'sdk/bin/fleetupdate.mjs',
  'plugin',
  'check',
  ...pluginFolders(),
])
await check('Generated files are up to date', process.execPath, ['deploy/local/generate.mjs', '--check'])
await check('Speed has not fallen (ratios to a ceiling of the same run)', process.execPath, [
  'deploy/local/bench.mjs',
  '--guard',
])
await suite('Unit tests', ['run'])
await suite('End-to-end tests (real server, agents, apt roots, browser)', [
  'run',
  '--config',
  'e2e/vitest.config.ts',
])

console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
process.exitCode = total.failed > 0 ? 1 : 0

function pluginFolders() {
  return ['plugins', 'agent-plugins'].flatMap((room) =>
    readdirSync(join(root, room)).map((id) => join(room, id)),
  )
}

/** One program that must succeed; counts as one test. */
async function check(title, program, args) {
  say(title)
  const code = await exec(program, args)
  total[code === 0 ? 'passed' : 'failed']++
  if (code !== 0) console.error(`✗ ${title}`)
}

/** A vitest run; its tests are counted one by one. A run that breaks before it counts is one failure. */
async function suite(title, args) {
  say(title)
  const folder = mkdtempSync(join(tmpdir(), 'fleet-report-'))
  const report = join(folder, 'report.json')
  const code = await exec(bin('vitest'), [
    ...args,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  ])
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numFailedTestSuites } = JSON.parse(
      readFileSync(report, 'utf8'),
    )
    total.passed += numPassedTests
    total.skipped += numPendingTests
    total.failed += numFailedTests > 0 || numFailedTestSuites === 0 ? numFailedTests : numFailedTestSuites
    if (code !== 0 && numFailedTests === 0 && numFailedTestSuites === 0) total.failed++
  } catch {
    total.failed++
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function exec(program, args) {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: toolEnvironment(),
    })
    child.on('error', () => resolve(1))
    child.on('exit', (code) => resolve(code ?? 1))
  })
}

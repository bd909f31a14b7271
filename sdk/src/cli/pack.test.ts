import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildPlugin } from '../build/index.ts'
import { openBundle } from '../bundle/index.ts'
import { runCli } from './index.ts'

const cwd = mkdtempSync(join(tmpdir(), 'pack-'))
let printed = ''
const cli = (...args: string[]): Promise<number> =>
  runCli(args, {
    cwd,
    env: { HOME: join(cwd, 'home') },
    print(line) {
      printed += `${line}\n`
    },
    confirm: async () => false,
  })

beforeAll(async () => {
  mkdirSync(join(cwd, 'node_modules/@fleetupdate'), { recursive: true })
  const sdk = fileURLToPath(new URL('../..', import.meta.url))
  symlinkSync(sdk, join(cwd, 'node_modules/@fleetupdate/sdk'))
  await cli('plugin', 'new', 'disk-health')
  // Panels are built by a bundler that does not run inside the test runner; the end-to-end tests pack one.
  rmSync(join(cwd, 'disk-health/src/panel'), { recursive: true })
  const file = join(cwd, 'disk-health/package.json')
  const { fleetupdate, ...json } = JSON.parse(readFileSync(file, 'utf8'))
  writeFileSync(file, JSON.stringify({ ...json, fleetupdate: { ...fleetupdate, panel: undefined } }))
  await buildPlugin(join(cwd, 'disk-health'))
}, 60_000)
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

test('a plugin is packed into one file that says what it asks for, twice the same', async () => {
  expect(await cli('plugin', 'pack', 'disk-health'), printed).toBe(3)
  expect(printed).toContain('FLT_CLI_KEY_INVALID')
  expect(await cli('plugin', 'keygen'), printed).toBe(0)
  const keyFile = join(cwd, 'home/.config/fleetupdate/publisher.key')
  expect(statSync(keyFile).mode & 0o777).toBe(0o600)
  expect(await cli('plugin', 'keygen')).toBe(3)

  expect(await cli('plugin', 'pack', 'disk-health'), printed).toBe(0)
  const first = readFileSync(join(cwd, 'disk-health-0.1.0.fleetplugin'))
  expect(await cli('plugin', 'pack', 'disk-health', '--out', 'again')).toBe(0)
  expect(readFileSync(join(cwd, 'again')).equals(first)).toBe(true)
  const { statement, keyId } = openBundle(first)
  expect(printed).toContain(keyId)
  expect(statement).toMatchObject({ id: 'disk-health', counter: 10_000, manifest: { programs: ['df'] } })
  expect(statement.files.map(({ path }) => path)).toEqual([
    'dist/executor.js',
    'dist/server.js',
    'package.json',
  ])
})

test('a key is never put where it could be committed', async () => {
  mkdirSync(join(cwd, 'repo/.git'), { recursive: true })
  expect(await cli('plugin', 'keygen', '--out', 'repo/keys/publisher.key')).toBe(3)
  expect(printed).toContain('FLT_CLI_KEY_IN_REPOSITORY')
})

test('a plugin that breaks a rule is not packed', async () => {
  const readme = join(cwd, 'disk-health/README.md')
  writeFileSync(readme, '# Disk health\n')
  expect(await cli('plugin', 'pack', 'disk-health', '--out', 'broken')).toBe(3)
  expect(printed).toContain('README.md lacks')
})

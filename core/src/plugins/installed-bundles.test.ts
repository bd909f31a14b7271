import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPublisherKey, writeBundle } from '@fleetupdate/sdk/bundle'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openInstalledBundles } from './installed-bundles.ts'

const key = createPublisherKey()
let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bundles-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const bundle = (version: string, code: string): Buffer => {
  const manifest = { id: 'one', sdk: '1', server: './dist/server.js' }
  const files = [
    { path: 'dist/server.js', content: Buffer.from(code) },
    { path: 'package.json', content: Buffer.from(JSON.stringify({ version, fleetupdate: manifest })) },
  ]
  return writeBundle({ version, counter: 1, expiresAt: '2030-01-01T00:00:00.000Z', manifest, files }, key)
}
const code = (): string => readFileSync(join(dir, 'plugins/one/dist/server.js'), 'utf8')

test('a bundle replaces the one before it whole, and leaves nothing beside it', async () => {
  const bundles = await openInstalledBundles(dir)
  await bundles.write(bundle('1.0.0', 'first'))
  writeFileSync(join(dir, 'plugins/one/dist/old.js'), '')
  await bundles.write(bundle('2.0.0', 'second'))
  expect(code()).toBe('second')
  expect(readdirSync(join(dir, 'plugins/one/dist'))).toEqual(['server.js'])
  expect(readdirSync(join(dir, 'plugin-bundles'))).toEqual(['one.fleetplugin'])
  expect((await bundles.read('one'))?.statement.version).toBe('2.0.0')
  await bundles.remove('one')
  expect(existsSync(join(dir, 'plugins/one'))).toBe(false)
  expect(await bundles.read('one')).toBeUndefined()
})

test('what a crash interrupted is finished or taken back at the next start', async () => {
  await (await openInstalledBundles(dir)).write(bundle('1.0.0', 'first'))
  mkdirSync(join(dir, 'plugin-bundles/one.old'))
  mkdirSync(join(dir, 'plugin-bundles/one.new'))
  await openInstalledBundles(dir)
  expect(code()).toBe('first')
  rmSync(join(dir, 'plugin-bundles/one.old'), { recursive: true, force: true })
  mkdirSync(join(dir, 'plugin-bundles/one.old/dist'), { recursive: true })
  writeFileSync(join(dir, 'plugin-bundles/one.old/dist/server.js'), 'kept')
  rmSync(join(dir, 'plugins/one'), { recursive: true })
  await openInstalledBundles(dir)
  expect(code()).toBe('kept')
  expect(readdirSync(join(dir, 'plugin-bundles'))).toEqual(['one.fleetplugin'])
})

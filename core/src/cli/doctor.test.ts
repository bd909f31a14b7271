import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type App, buildApp } from '../app.ts'
import { readConfig } from '../config-load.ts'
import { makeCertificate } from '../http/testing/self-made-certificate.ts'
import { createLog } from '../log.ts'
import type { Finding } from './finding.ts'
import { runInWorld } from './testing/test-world.ts'

let dir: string
let app: App | undefined
const env = (more: object = {}) => ({
  ...{ DATA_DIR: join(dir, 'data'), MASTER_KEY_FILE: join(dir, 'master.key'), HOST: '127.0.0.1', PORT: '0' },
  UI_PASSWORD: 'a password for tests',
  ...more,
})

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'doctor-'))
  app = await buildApp(readConfig(env()), { log: createLog(() => {}), onFatal: () => {} })
  await app.listen()
})

afterEach(async () => {
  await app?.dispose()
  rmSync(dir, { recursive: true, force: true })
})

async function examine(
  more: object = {},
): Promise<{ code: number; all: readonly Finding[]; of(check: string): Finding[] }> {
  const { code, out } = await runInWorld(['doctor', '--json'], { env: env(more) })
  const { findings: all } = JSON.parse(out) as { findings: Finding[] }
  return { code, all, of: (check) => all.filter((each) => each.check === check) }
}

test('a server that runs well has nothing bad, and the examination says what it saw', async () => {
  const { code, all, of } = await examine()
  expect(all.filter(({ level }) => level === 'bad')).toEqual([])
  expect(code).toBe(0)
  expect(of('server')).toMatchObject([{ level: 'ok', says: expect.stringContaining('runs, version') }])
  expect(of('database')).toMatchObject([{ level: 'ok' }])
  expect(of('secrets')).toMatchObject([{ level: 'ok' }])
})

test('another master key, one that others may read, or none, is found', async () => {
  const file = join(dir, 'other.key')
  writeFileSync(file, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 })
  const other = await examine({ MASTER_KEY_FILE: file })
  expect(other.code).toBe(1)
  expect(other.of('secrets')).toMatchObject([
    { level: 'bad', says: expect.stringContaining('cannot be decrypted') },
  ])
  chmodSync(file, 0o644)
  expect((await examine({ MASTER_KEY_FILE: file })).of('master key')).toMatchObject([
    { level: 'bad', says: expect.stringContaining('chmod 600') },
  ])
  expect((await examine({ MASTER_KEY_FILE: join(dir, 'none') })).of('master key')).toMatchObject([
    { level: 'bad' },
  ])
})

test('a damaged database is found, and stays as it is', async () => {
  await app?.dispose()
  app = undefined
  writeFileSync(
    join(dir, 'data/plugins-data/broken.db'),
    'no database, but long enough to have a header of its own '.repeat(9),
  )
  const { code, of } = await examine()
  expect(code).toBe(1)
  expect(of('database')).toMatchObject([{ level: 'bad', says: expect.stringContaining('broken.db') }])
})

test('where no server runs, the port is tried', async () => {
  await app?.dispose()
  app = undefined
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const { port } = holder.address() as { port: number }
  const { of } = await examine({ PORT: String(port) })
  holder.close()
  expect(of('server')).toMatchObject([{ level: 'warn', says: 'does not run' }])
  expect(of('port')).toMatchObject([{ level: 'bad', says: expect.stringContaining('EADDRINUSE') }])
})

test('a certificate that ends soon, or is for another name, is found', async () => {
  const { certFile, keyFile } = makeCertificate(dir, 'short')
  const tls = { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile }
  const { of } = await examine({ ...tls, PUBLIC_URL: 'https://fleet.example.com' })
  expect(of('certificate')).toMatchObject([
    { level: 'warn', says: expect.stringMatching(/ends in [01] days/) },
    { level: 'bad', says: 'is not for fleet.example.com' },
  ])
})

test('an open data folder and an address without TLS are worth a look', async () => {
  chmodSync(join(dir, 'data'), 0o755)
  const { code, of } = await examine({ PUBLIC_URL: 'http://fleet.example.com' })
  expect(code).toBe(0)
  expect(of('data')).toMatchObject([{ level: 'warn', fix: expect.stringContaining('chmod 700') }])
  expect(of('address')).toMatchObject([{ level: 'warn' }])
})

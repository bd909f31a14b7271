import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readConfig } from './config-load.ts'
import { settingsReference } from './settings-reference.ts'

describe('reading the settings', () => {
  test('an empty environment is a working server', () => {
    expect(readConfig({})).toEqual({
      host: '0.0.0.0',
      port: 8000,
      dataDir: resolve('data'),
      masterKeyFile: resolve('data/master.key'),
      serverPsk: undefined,
      approveAllEnrolments: false,
      keyRotationDays: 30,
      uiUser: 'admin',
      uiPassword: undefined,
      uiPasswordHash: undefined,
      jwtSecret: undefined,
      publicUrls: [],
      corsOrigins: [],
      allowedHosts: [],
      keepMs: 90 * 86_400_000,
      pluginDirs: [resolve('data/plugins')],
      dashboardDir: undefined,
      notices: [],
    })
  })

  test('lists are separated by commas, and an empty value is none', () => {
    const config = readConfig({
      PUBLIC_URL: 'https://fleet.example.com, http://10.0.0.1:8000/',
      ALLOWED_HOSTS: 'a, b,',
      CORS_ORIGINS: 'https://portal.example.com',
      PLUGIN_DIRS: '/opt/plugins',
      PORT: '',
      UI_PASSWORD: '',
      DATA_DIR: '/srv/fleet',
    })
    expect(config.publicUrls.map(({ origin }) => origin)).toEqual([
      'https://fleet.example.com',
      'http://10.0.0.1:8000',
    ])
    expect(config).toMatchObject({
      allowedHosts: ['a', 'b'],
      corsOrigins: ['https://portal.example.com'],
      pluginDirs: ['/opt/plugins', '/srv/fleet/plugins'],
      port: 8000,
      uiPassword: undefined,
    })
  })

  test('arguments count before the environment, but secrets are no arguments', () => {
    expect(readConfig({ PORT: '1', HOST: '::1' }, ['--port', '2'])).toMatchObject({ port: 2, host: '::1' })
    expect(() => readConfig({}, ['--server-psk', 'x'])).toThrow(
      /^arguments: Unknown option '--server-psk'\. Known: --host/,
    )
    expect(() => readConfig({}, ['stray'])).toThrow(/^arguments: Unexpected argument 'stray'/)
  })

  test.each([
    ['PORT', 'abc', 'PORT: must be a whole number from 0 (any free port) to 65535, not "abc".'],
    ['PORT', '70000', 'PORT: must be a whole number from 0 (any free port) to 65535, not "70000".'],
    ['PORT', '8e3', 'PORT: must be a whole number from 0 (any free port) to 65535, not "8e3".'],
    [
      'PUBLIC_URL',
      'fleet.example.com',
      /^PUBLIC_URL: must be http:\/\/ or https:\/\/ .*, not "fleet\.example\.com"\.$/,
    ],
    ['PUBLIC_URL', 'https://fleet.example.com/?app', /^PUBLIC_URL: must be .* at most with a path/],
    ['PUBLIC_URL', 'http://[::1', /^PUBLIC_URL: must be /],
    ['CORS_ORIGINS', '*', /^CORS_ORIGINS: must be origins like/],
    [
      'DATABASE_URL',
      'postgres://user:pass@db/fleet',
      /^DATABASE_URL: must be a SQLite path; PostgreSQL is not/,
    ],
    [
      'JWT_SECRET',
      'short',
      'JWT_SECRET: must have at least 16 characters; make one with: openssl rand -base64 32.',
    ],
    ['UI_PASSWORD_HASH', 'plain-text', /^UI_PASSWORD_HASH: must be an argon2id hash/],
  ])('%s=%s is refused with one line that says what to do', (name, value, message) => {
    expect(() => readConfig({ [name]: value })).toThrow(message)
    try {
      readConfig({ [name]: value })
    } catch (error) {
      expect(error).toMatchObject({ code: 'FLT_CONFIG_INVALID' })
      if (/DATABASE|JWT|HASH/.test(name)) expect(String(error)).not.toContain(value)
    }
  })

  test('a password keeps the spaces at its end', () => {
    expect(readConfig({ UI_PASSWORD: ' secret ' }).uiPassword).toBe(' secret ')
  })

  test('an old database and a weak secret are noticed', () => {
    const { notices } = readConfig({
      DATABASE_URL: 'sqlite:////opt/orchestrator/fleet.db',
      SERVER_PSK: 'short',
    })
    expect(notices).toEqual([
      expect.stringContaining('that database is left untouched'),
      expect.stringContaining('SERVER_PSK has less than 16 characters'),
    ])
  })
})

test('the reference page is the one that the settings make', async () => {
  const page = new URL('../../docs/reference/settings.md', import.meta.url)
  expect(await readFile(page, 'utf8')).toBe(settingsReference())
})

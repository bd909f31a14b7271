import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { readConfig } from './config.ts'

const dir = mkdtempSync(join(tmpdir(), 'agent-config-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

function configured(yaml: string, env: Record<string, string> = {}) {
  const file = join(dir, 'config.yaml')
  writeFileSync(file, yaml)
  return readConfig({ AGENT_CONFIG: file, ...env })
}

describe('the configuration', () => {
  test('has a default for all but the server', async () => {
    expect(
      await configured('agent: { id: vm-1, server_url: "https://Fleet.example.com:443/" }'),
    ).toMatchObject({
      id: 'vm-1',
      serverUrl: 'https://fleet.example.com',
      psk: undefined,
      pollIntervalMs: 60_000,
      stateDir: '/var/lib/orchestrator-agent',
      executors: undefined,
      privilege: 'auto',
      apps: [],
      warnings: [],
    })
  })

  test('takes the path that a proxy gave the server', async () => {
    const { serverUrl } = await configured('agent: { id: vm-1, server_url: "https://example.com/fleet/" }')
    expect(serverUrl).toBe('https://example.com/fleet')
  })

  test('is overruled by the environment, also where there is no file', async () => {
    const env = { AGENT_ID: 'vm-2', SERVER_URL: 'http://127.0.0.1:8000', AGENT_PSK: 'other' }
    const file = await configured('agent: { id: vm-1, server_url: "https://fleet", psk: one }', env)
    expect(file).toMatchObject({ id: 'vm-2', serverUrl: 'http://127.0.0.1:8000', psk: 'other' })
    const none = await readConfig({ ...env, AGENT_CONFIG: join(dir, 'absent.yaml') })
    expect(none).toMatchObject({ id: 'vm-2' })
  })

  test('warns of keys it does not know', async () => {
    const { warnings } = await configured('agent: { id: a, server_url: "http://s", intervall: 5 }\nextra: 1')
    expect(warnings.join('\n')).toMatch(/"extra"[\s\S]*"agent\.intervall"/)
  })

  test.each([
    ['agent:\n  id: [', 'FLT_AGENT_CONFIG_YAML', /not valid YAML: .*line/],
    ['- a', 'FLT_AGENT_CONFIG_INVALID', /agent:/],
    ['agent: text', 'FLT_AGENT_CONFIG_INVALID', /agent holds no keys/],
    ['agent: {}', 'FLT_AGENT_CONFIG_INVALID', /agent\.server_url is missing/],
    [
      'agent: { server_url: "ftp://x" }',
      'FLT_AGENT_CONFIG_INVALID',
      /agent\.server_url is "ftp:\/\/x".*https:/,
    ],
    ['agent: { server_url: "http://x/path?query" }', 'FLT_AGENT_CONFIG_INVALID', /at most a path/],
    ['agent: { server_url: "https://x", ca_file: none.pem }', 'FLT_AGENT_CONFIG_INVALID', /ca_file.*ENOENT/],
    [
      'agent: { server_url: "https://x", ca_file: config.yaml }',
      'FLT_AGENT_CONFIG_INVALID',
      /holds no certificate/,
    ],
    ['agent: { server_url: "http://u:p@x" }', 'FLT_AGENT_CONFIG_INVALID', /agent\.server_url/],
    ['agent: { server_url: "http://x", id: "../x" }', 'FLT_AGENT_CONFIG_INVALID', /agent\.id is "\.\.\/x"/],
    ['agent: { server_url: "http://x", poll_interval: 1 }', 'FLT_AGENT_CONFIG_INVALID', /5 to 3600/],
    ['agent: { server_url: "http://x", poll_interval: soon }', 'FLT_AGENT_CONFIG_INVALID', /poll_interval/],
    [
      'agent: { server_url: "http://x", privilege: root }',
      'FLT_AGENT_CONFIG_INVALID',
      /auto, direct, socket, sudo or none/,
    ],
    ['agent: { server_url: "http://x", executors: /opt }', 'FLT_AGENT_CONFIG_INVALID', /list of folders/],
    ['agent: { server_url: "http://x" }\napps: 5', 'FLT_AGENT_CONFIG_INVALID', /apps is not a list/],
  ])('refuses %j in one line that names the key and the fix', async (yaml, code, message) => {
    const error = await configured(yaml).catch((thrown: Error) => thrown)
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) })
    expect((error as Error).message).not.toContain('\n')
  })

  test('never prints a secret that does not fit', async () => {
    const error = await configured('agent: { server_url: "http://x", psk: 123456789 }').catch(
      (thrown: Error) => thrown,
    )
    expect((error as Error).message).toMatch(/agent\.psk has a value that does not fit/)
    expect((error as Error).message).not.toContain('123456789')
  })
})

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { sandboxCommand, sandboxProperties } from './sandbox.ts'

const wishes = {
  unit: 'fleetupdate-executor-demo',
  node: '/usr/bin/node',
  program: '/opt/orchestrator/agent/current/executor-process.js',
  network: false,
  paths: ['/var/log'],
  seconds: 60,
  rootNames: ['usr', 'etc', 'home', 'var', 'srv', 'data', 'we ird', 'proc'],
}
const analyze = '/usr/bin/systemd-analyze'

test.skipIf(!existsSync(analyze))('systemd itself calls the sandbox safe: at most 0.5', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sandbox-'))
  const file = join(folder, 'demo.service')
  writeFileSync(file, ['[Service]', 'ExecStart=/bin/true', ...sandboxProperties(wishes), ''].join('\n'))
  const { stdout, stderr } = spawnSync(analyze, ['security', '--offline=yes', '--no-pager', file], {
    encoding: 'utf8',
  })
  rmSync(folder, { recursive: true })
  const [, exposure] = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout) ?? []
  expect(Number(exposure), stdout + stderr).toBeLessThanOrEqual(0.5)
})

test('what a manifest says never becomes more than a path that can be read', () => {
  const paths = [
    '/srv/a',
    '/',
    '/etc/../root',
    '/srv/a:/root',
    '/srv/%h',
    '-/srv',
    '/srv/b\nUser=root',
    '/srv/a b',
    'srv',
  ]
  const bound = sandboxProperties({ ...wishes, paths }).filter((one) => one.startsWith('BindReadOnlyPaths='))
  const own = sandboxProperties({ ...wishes, paths: [] }).filter((one) =>
    one.startsWith('BindReadOnlyPaths='),
  )
  expect(bound.filter((one) => !own.includes(one))).toEqual(['BindReadOnlyPaths=-/srv/a'])
})

test('every folder of the host is emptied but those that programs need', () => {
  const emptied = sandboxProperties(wishes).filter((one) => one.startsWith('TemporaryFileSystem='))
  expect(emptied).toEqual(
    ['etc', 'home', 'var', 'srv', 'data'].map((name) => `TemporaryFileSystem=/${name}:ro`),
  )
})

test('there is a network only where it was granted', () => {
  expect(sandboxCommand(wishes)).toContain('--property=PrivateNetwork=yes')
  expect(sandboxCommand({ ...wishes, network: true }).join(' ')).not.toMatch(/PrivateNetwork|IPAddressDeny/)
})

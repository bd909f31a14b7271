import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { buildAgent } from '../../build.mjs'

const isRoot = process.getuid?.() === 0
let dir = ''

/** Below a folder that only root may write, as an installation is. */
beforeAll(async () => {
  if (!isRoot) return
  dir = mkdtempSync('/opt/fleetupdate-test-')
  chmodSync(dir, 0o755)
  await buildAgent(join(dir, 'agent'))
  // The policy of this machine must not decide about the test: its folder is the one thing that is changed in the built helper.
  const helper = join(dir, 'agent', 'root-helper')
  const text = readFileSync(helper, 'utf8')
  expect(text.split('"/etc/orchestrator-agent"')).toHaveLength(2)
  mkdirSync(join(dir, 'etc'))
  writeFileSync(helper, text.replace('"/etc/orchestrator-agent"', JSON.stringify(join(dir, 'etc'))))
  const id = (name: string, args: unknown[], more: object = {}) => ({
    id: name,
    reason: 'test',
    program: '/usr/bin/printf',
    args,
    ...more,
  })
  install('demo', [
    id('say', ['%s\\n', { rest: '[a-z]+' }]),
    id('env', [], { program: '/usr/bin/env', env: { DEBIAN_FRONTEND: 'noninteractive' } }),
    id('sleep', ['0.01'], { program: '/bin/sleep' }),
    id('long', ['60'], { program: '/bin/sleep' }),
    id('absent', [], { program: '/usr/bin/absent-program' }),
    id('writable', [], { program: join(dir, 'writable') }),
  ])
  copyFileSync('/bin/true', join(dir, 'writable'))
  chmodSync(join(dir, 'writable'), 0o777)
  install('open', [id('say', ['x'])])
  chmodSync(join(dir, 'agent', 'executors', 'open', 'package.json'), 0o666)
  symlinkSync(join(dir, 'agent', 'executors', 'demo'), join(dir, 'agent', 'executors', 'link'))
})
afterAll(() => {
  if (dir !== '') rmSync(dir, { recursive: true, force: true })
})

function install(plugin: string, privileges: unknown[]): void {
  const folder = join(dir, 'agent', 'executors', plugin)
  mkdirSync(folder, { recursive: true })
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ fleetupdate: { id: plugin, sdk: '1', privileges } }),
  )
}

function ask(request: unknown, options: { uid?: number; more?: string } = {}) {
  const text = typeof request === 'string' ? request : JSON.stringify(request)
  const { status, stdout } = spawnSync(process.execPath, [join(dir, 'agent', 'root-helper')], {
    input: `${text}\n${options.more ?? ''}`,
    encoding: 'utf8',
    env: { PATH: '/usr/bin:/bin', EVIL: '1', LD_LIBRARY_PATH: '' },
    ...(options.uid === undefined ? {} : { uid: options.uid }),
  })
  return { status, stdout }
}

const run = (privilege: string, args: unknown, plugin: unknown = 'demo') => ({
  verb: 'run',
  plugin,
  privilege,
  args,
})

describe.runIf(isRoot)('the root helper', () => {
  test('runs what a manifest of root declares, and passes the exit code on', () => {
    expect(ask(run('say', ['%s\\n', 'hello', 'world']))).toEqual({ status: 0, stdout: 'hello\nworld\n' })
    expect(ask(run('sleep', ['0.01'])).status).toBe(0)
  })

  test('gives the program a fixed environment', () => {
    const { stdout } = ask(run('env', []))
    expect(stdout.trim().split('\n').sort()).toEqual([
      'DEBIAN_FRONTEND=noninteractive',
      'HOME=/root',
      'LANG=C.UTF-8',
      'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
    ])
  })

  test('ends the program on request, and not because its asker is gone', () => {
    const startedMs = Date.now()
    expect(ask(run('long', ['60']), { more: 'term\n' }).status).toBe(143)
    expect(Date.now() - startedMs).toBeLessThan(10_000)
    expect(ask(run('sleep', ['0.01'])).status).toBe(0)
  })

  test('refuses everybody but root', () => {
    expect(ask(run('say', ['%s\\n']), { uid: 65534 })).toMatchObject({ status: 126 })
  })

  test.each([
    ['arguments that do not fit', run('say', ['%s\\n', 'HELLO'])],
    ['an option as a name', run('say', ['%s\\n', '--help'])],
    ['more arguments', run('sleep', ['0.01', '60'])],
    ['arguments that are no text', run('sleep', [1])],
    ['arguments that are no list', run('sleep', '0.01')],
    ['a line break in an argument', run('say', ['%s\\n', 'a\nb'])],
    ['a privilege nobody declared', run('root', [])],
    ['an inherited name as privilege', run('constructor', [])],
    ['a plugin nobody installed', run('say', [], 'absent')],
    ['a plugin that climbs', run('say', ['%s\\n'], '../demo')],
    ['a plugin that is no text', run('say', ['%s\\n'], ['demo'])],
    ['a plugin behind a link', run('say', ['%s\\n'], 'link')],
    ['a manifest that others may write', run('say', ['x'], 'open')],
    ['a program that others may write', run('writable', [])],
    ['a program that is not installed', run('absent', [])],
    ['an unknown verb', { verb: 'shell', args: ['id'] }],
    ['a start with a path for an id', { verb: 'start', commandId: '../../etc', epoch: 1 }],
    [
      'a start with a text for an epoch',
      { verb: 'start', commandId: '01890a5d-ac96-774b-bcce-b302099a8057', epoch: '1 --uid=0' },
    ],
    ['a list', []],
    ['no JSON', '{'],
    ['nothing', 'null'],
    ['a request of 5 MB', JSON.stringify(run('say', ['%s\\n', 'a'.repeat(5_000_000)]))],
  ])('refuses %s', (_name, request) => {
    expect(ask(request)).toMatchObject({
      status: 126,
      stdout: expect.stringMatching(/^fleetupdate root helper: /),
    })
  })

  test('says of each privilege whether it would work', () => {
    const privileges = ['say', 'absent', 'none'].map((privilege) => ({ plugin: 'demo', privilege }))
    const { status, stdout } = ask({ verb: 'probe', privileges })
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toEqual([
      { ok: true },
      { ok: false, missing: 'the program /usr/bin/absent-program is not installed' },
      { ok: false, missing: 'the executor "demo" declares no such privilege' },
    ])
  })

  describe("keeps the owner's policy, whoever asks", () => {
    const policy = (text: string): void => writeFileSync(join(dir, 'etc', 'policy.yaml'), text)
    afterEach(() => {
      rmSync(join(dir, 'etc'), { recursive: true })
      mkdirSync(join(dir, 'etc'))
    })

    test.each([
      ['mode', 'mode: observe', 'mode'],
      ['commands', 'commands: { other: all }', 'commands'],
      ['commands', 'commands: { demo: [] }', 'commands'],
    ])('rule %s: %s', (_name, text, rule) => {
      policy(text)
      expect(ask(run('sleep', ['0.01']))).toMatchObject({
        status: 126,
        stdout: expect.stringContaining(`policy rule "${rule}"`),
      })
      expect(ask({ verb: 'probe', privileges: [] }).status).toBe(0)
    })

    test('rule kill-switch, for runners too', () => {
      writeFileSync(join(dir, 'etc', 'kill-switch'), '')
      const start = { verb: 'start', commandId: '01890a5d-ac96-774b-bcce-b302099a8057', epoch: 1 }
      for (const request of [run('sleep', ['0.01']), start])
        expect(ask(request).stdout).toContain('policy rule "kill-switch"')
    })

    test('and nothing at all where it is not understood, or others may write it', () => {
      policy('mode: everything')
      expect(ask(run('sleep', ['0.01'])).stdout).toContain('mode in')
      policy('mode: full')
      expect(ask(run('sleep', ['0.01'])).status).toBe(0)
      chmodSync(join(dir, 'etc', 'policy.yaml'), 0o666)
      expect(ask(run('sleep', ['0.01'])).stdout).toContain('must belong to root')
    })
  })
})

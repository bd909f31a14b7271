import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi,
} from 'vitest'
import { buildAgent } from '../../build.mjs'

const isRoot = process.getuid?.() === 0
/** Stands for the agent's user. */
const peer = 64_999
/** Ends at SIGTERM; what it started does not. */
const stubbornScript = 'trap "" TERM; sleep 600 & trap - TERM; echo $!; wait'
const attempt = '01890a5d-ac96-774b-bcce-b302099a8057.1'
let dir = ''
const state = (...path: string[]): string => join(dir, 'state', ...path)
const etc = (...path: string[]): string => join(dir, 'etc', ...path)

/** Below a folder that only root may write, as an installation is. */
beforeAll(async () => {
  if (!isRoot) return
  dir = mkdtempSync('/opt/fleetupdate-test-')
  chmodSync(dir, 0o755)
  await buildAgent(join(dir, 'agent'))
  // This machine's own folders must not decide about the test: they are the one thing that is changed in the built helper.
  const helper = join(dir, 'agent', 'root-helper')
  const places = [
    ['/etc/orchestrator-agent', etc()],
    ['/var/lib/orchestrator-agent', state()],
    ['/run/orchestrator-helper/begun', join(dir, 'begun')],
  ] as const
  let text = readFileSync(helper, 'utf8')
  for (const [from, to] of places) {
    expect(text.split(`"${from}"`), from).toHaveLength(2)
    text = text.replace(`"${from}"`, JSON.stringify(to))
  }
  // Stands for the sandbox, which has tests of its own on real systemd: says back what reaches it.
  const sandbox = join(dir, 'sandbox')
  writeFileSync(sandbox, '#!/bin/sh\nexec cat\n', { mode: 0o755 })
  expect(text).toContain('"/usr/bin/systemd-run"')
  writeFileSync(helper, text.replaceAll('"/usr/bin/systemd-run"', JSON.stringify(sandbox)))
  mkdirSync(etc())
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
    id('stubborn', ['-c', stubbornScript], { program: '/bin/sh' }),
    id('absent', [], { program: '/usr/bin/absent-program' }),
    id('writable', [], { program: join(dir, 'writable') }),
    id('status', ['x', '/proc/self/fd/3'], { program: '/usr/bin/cp' }),
    id('look', ['0.01'], { program: '/bin/sleep', effect: 'observe', commands: ['look'] }),
    id('mend', ['0.01'], { program: '/bin/sleep', effect: 'security' }),
  ])
  copyFileSync('/bin/true', join(dir, 'writable'))
  chmodSync(join(dir, 'writable'), 0o777)
  install('open', [id('say', ['x'])])
  chmodSync(join(dir, 'agent', 'executors', 'open', 'package.json'), 0o666)
  symlinkSync(join(dir, 'agent', 'executors', 'demo'), join(dir, 'agent', 'executors', 'link'))
})
beforeEach(() => {
  if (!isRoot) return
  rmSync(state(), { recursive: true, force: true })
  mkdirSync(state('attempts', attempt, 'work'), { recursive: true })
  mkdirSync(state('captures'))
  for (const file of [state('attempts', attempt, 'output.log'), state('captures', 'out')])
    writeFileSync(file, '')
  give(state())
})
afterAll(() => {
  if (dir !== '') rmSync(dir, { recursive: true, force: true })
})

/** To the agent's user. */
function give(path: string): void {
  spawnSync('chown', ['-hR', `${peer}:${peer}`, path])
}

function install(plugin: string, privileges: unknown[]): void {
  const folder = join(dir, 'agent', 'executors', plugin)
  mkdirSync(folder, { recursive: true })
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ fleetupdate: { id: plugin, sdk: '1', privileges } }),
  )
}

interface Asked {
  readonly uid?: number
  readonly more?: string
  /** As systemd names the connection; undefined: as sudo starts it. */
  readonly connection?: string
  readonly sudoUid?: string
}

function ask(request: unknown, { uid, more = '', connection, sudoUid = String(peer) }: Asked = {}) {
  const text = typeof request === 'string' ? request : JSON.stringify(request)
  const helper = [join(dir, 'agent', 'root-helper'), ...(connection === undefined ? [] : [connection])]
  const { status, stdout } = spawnSync(process.execPath, helper, {
    input: `${text}\n${more}`,
    encoding: 'utf8',
    env: { PATH: '/usr/bin:/bin', EVIL: '1', SUDO_UID: sudoUid },
    ...(uid === undefined ? {} : { uid }),
  })
  const answers = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  return { status, last: answers.at(-1) ?? {}, written: written() }
}

function written(): string {
  const file = state('attempts', attempt, 'output.log')
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}

const output = (): string => state('attempts', attempt, 'output.log')
const run = (privilege: string, args: unknown, more: object = {}) => ({
  ...{ verb: 'run', plugin: 'demo', privilege, args },
  ...{ out: output(), err: output() },
  ...more,
})
const ended = { status: 0, last: { exitCode: 0, signal: null } }
const refused = (reason: unknown = expect.any(String), policy = false) => ({
  status: 126,
  last: { refused: reason, policy },
  written: '',
})

describe.runIf(isRoot)('the root helper', () => {
  test('runs what a manifest of root declares, and passes the exit code on', () => {
    expect(ask(run('say', ['%s\\n', 'hello', 'world']))).toEqual({ ...ended, written: 'hello\nworld\n' })
    expect(ask(run('status', ['x', '/proc/self/fd/3'])).last).toEqual({ exitCode: 1, signal: null })
  })

  test('gives the program a fixed environment', () => {
    expect(ask(run('env', [])).written.trim().split('\n').sort()).toEqual([
      'DEBIAN_FRONTEND=noninteractive',
      'HOME=/root',
      'LANG=C.UTF-8',
      'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
    ])
  })

  test('ends the program on request, and not because its asker is gone', () => {
    const startedMs = Date.now()
    expect(ask(run('long', ['60']), { more: 'term\n' }).last).toEqual({ exitCode: -1, signal: 'SIGTERM' })
    expect(Date.now() - startedMs).toBeLessThan(10_000)
    expect(ask(run('sleep', ['0.01']))).toMatchObject(ended)
  })

  test('ends what the program started and left, once the program was told to end', async () => {
    const helper = spawn(process.execPath, [join(dir, 'agent', 'root-helper')], {
      env: { PATH: '/usr/bin:/bin', SUDO_UID: String(peer) },
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    const end = once(helper, 'exit')
    helper.stdin.write(`${JSON.stringify(run('stubborn', ['-c', stubbornScript]))}\n`)
    await vi.waitUntil(() => written().endsWith('\n'), 20_000)
    const left = Number(written())
    onTestFinished(() => void spawnSync('kill', ['-9', `${left}`]))
    await vi.waitUntil(() => readFileSync(`/proc/${left}/comm`, 'utf8') === 'sleep\n', 20_000)
    helper.stdin.write('term\n')
    await end
    await vi.waitUntil(() => !existsSync(`/proc/${left}`), 20_000)
  })

  test('knows its asker by the name that systemd gives the connection, or by sudo, and serves the owner of the state folder alone', () => {
    for (const connection of [`0-4711-${peer}`, `12-4711_88-${peer}`])
      expect(ask(run('sleep', ['0.01']), { connection, sudoUid: '0' })).toMatchObject(ended)
    for (const connection of ['0-4711-0', '0-4711-65534', '', `${peer}`, `0-4711-${peer} `])
      expect(ask(run('sleep', ['0.01']), { connection })).toEqual(refused())
    for (const sudoUid of ['0', '65534', '', 'x', `0-${peer}x`])
      expect(ask(run('sleep', ['0.01']), { sudoUid })).toEqual(refused())
  })

  test('refuses to be anything but root', () => {
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
    ['a plugin nobody installed', run('say', [], { plugin: 'absent' })],
    ['a plugin that climbs', run('say', ['%s\\n'], { plugin: '../demo' })],
    ['a plugin that is no text', run('say', ['%s\\n'], { plugin: ['demo'] })],
    ['a plugin behind a link', run('say', ['%s\\n'], { plugin: 'link' })],
    ['a manifest that others may write', run('say', ['x'], { plugin: 'open' })],
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
    expect(ask(request)).toEqual(refused())
  })

  describe('writes into files of the asker alone', () => {
    const inside = (...path: string[]) => state('attempts', attempt, ...path)
    test.each<[string, () => string]>([
      ['a file elsewhere', () => etc('policy.yaml')],
      ['a path that climbs', () => inside('..', '..', '..', 'etc', 'shadow')],
      ['a link to a file of root', () => link(etc('target'), inside('link'))],
      ['a link to a folder', () => join(link(etc(), inside('folder')), 'target')],
      ['a work folder that is a link', () => workLink()],
      ['an attempt that is a link', () => attemptLink()],
      ['a hard link to a file of root', () => hardLink(etc('target'))],
      ['a second name of its own file', () => hardLink(output())],
      ['a file of somebody else', () => foreign()],
      ['a folder', () => inside('work')],
      ['a pipe', () => pipe()],
      ['a file that is not there', () => inside('work', 'none')],
      ['a path with a NUL', () => `${output()}\0`],
      ['a path with a line break', () => `${output()}\n`],
      ['a descriptor', () => '/proc/self/fd/1'],
      ['a sibling of the state folder', () => `${state()}-evil/captures/out`],
    ])('not into %s', (_name, prepare) => {
      writeFileSync(etc('target'), '')
      const path = prepare()
      for (const files of [{ out: path }, { err: path }, { status: path }])
        expect(ask(run('say', ['%s\\n', 'x'], files))).toEqual(
          refused(expect.stringContaining('output file')),
        )
      expect(readFileSync(etc('target'), 'utf8')).toBe('')
      for (const name of readdirSync(etc())) rmSync(etc(name), { recursive: true })
    })

    test.each([1, null, ['x'], {}, ''])('not into %j', (out) => {
      expect(ask(run('sleep', ['0.01'], { out }))).toEqual(refused(expect.stringContaining('output file')))
    })

    test('appends, tells output from errors, and hands apt a file for its progress', () => {
      writeFileSync(output(), 'before\n')
      expect(ask(run('say', ['%s\\n', 'after'], { err: state('captures', 'out') })).written).toBe(
        'before\nafter\n',
      )
      const status = state('attempts', attempt, 'work', 'status')
      writeFileSync(status, '')
      give(status)
      ask(run('status', ['x', '/proc/self/fd/3'], { status, err: state('captures', 'out') }))
      expect(readFileSync(state('captures', 'out'), 'utf8')).toContain('cp: ')
      expect(lstatSync(output()).uid).toBe(peer)
    })

    const link = (to: string, from: string): string => {
      symlinkSync(to, from)
      return from
    }
    const workLink = (): string => {
      rmSync(inside('work'), { recursive: true })
      return join(link(etc(), inside('work')), 'target')
    }
    const attemptLink = (): string => {
      mkdirSync(etc('work'))
      const other = attempt.replace(/1$/, '2')
      return join(link(etc(), state('attempts', other)), 'target')
    }
    const hardLink = (to: string): string => {
      linkSync(to, inside('hard'))
      return inside('hard')
    }
    const foreign = (): string => {
      writeFileSync(inside('foreign'), '')
      chownSync(inside('foreign'), 65534, 65534)
      return inside('foreign')
    }
    const pipe = (): string => {
      spawnSync('mkfifo', [inside('pipe')])
      give(inside('pipe'))
      return inside('pipe')
    }
  })

  test('says of each privilege whether it would work', () => {
    const privileges = ['say', 'absent', 'none'].map((privilege) => ({ plugin: 'demo', privilege }))
    const { status, last } = ask({ verb: 'probe', privileges })
    expect(status).toBe(0)
    expect(last.privileges).toEqual([
      { ok: true },
      { ok: false, missing: 'the program /usr/bin/absent-program is not installed' },
      { ok: false, missing: 'the executor "demo" declares no such privilege' },
    ])
  })

  describe("keeps the owner's policy, whoever asks", () => {
    const policy = (text: string): void => writeFileSync(etc('policy.yaml'), text)
    const rule = (name: string) => refused(expect.stringMatching(new RegExp(`^rule "${name}"`)), true)
    afterEach(() => {
      for (const folder of [etc(), join(dir, 'begun')]) rmSync(folder, { recursive: true, force: true })
      mkdirSync(etc())
    })

    test.each([
      ['mode', 'mode: observe'],
      ['mode', 'mode: security-only'],
      ['commands', 'commands: { other: all }'],
      ['commands', 'commands: { demo: [] }'],
      ['windows', "windows: [{ from: '00:00', to: '00:00' }]"],
    ])('rule %s: %s', (name, text) => {
      policy(text)
      expect(ask(run('sleep', ['0.01']))).toEqual(rule(name))
      expect(ask({ verb: 'probe', privileges: [] }).status).toBe(0)
    })

    test('by what a privilege does and is for', () => {
      policy('mode: security-only')
      expect(ask(run('mend', ['0.01']))).toMatchObject(ended)
      policy('mode: observe')
      expect(ask(run('look', ['0.01']))).toEqual(rule('mode'))
      policy('commands: { demo: [look] }')
      expect(ask(run('look', ['0.01']))).toMatchObject(ended)
      policy('commands: { demo: [run] }')
      expect(ask(run('look', ['0.01']))).toEqual(rule('commands'))
      policy("windows: [{ from: '00:00', to: '00:00' }]")
      expect(ask(run('look', ['0.01']))).toMatchObject(ended)
    })

    test('rule windows: what began in one goes on past its end, for half a day, and nothing else does', () => {
      policy("windows: [{ from: '00:00', to: '23:59' }, { from: '23:00', to: '01:00' }]")
      expect(ask(run('sleep', ['0.01']))).toMatchObject(ended)
      policy("windows: [{ from: '00:00', to: '00:00' }]")
      expect(ask(run('sleep', ['0.01']))).toMatchObject(ended)
      const other = attempt.replace(/1$/, '2')
      mkdirSync(state('attempts', other))
      renameSync(output(), state('attempts', other, 'output.log'))
      const path = state('attempts', other, 'output.log')
      expect(ask(run('sleep', ['0.01'], { out: path, err: path }))).toEqual(rule('windows'))
      renameSync(path, output())
      const longAgo = new Date(Date.now() - 13 * 3_600_000)
      utimesSync(join(dir, 'begun', attempt), longAgo, longAgo)
      expect(ask(run('sleep', ['0.01']))).toEqual(rule('windows'))
      const capture = state('captures', 'out')
      expect(ask(run('sleep', ['0.01'], { out: capture, err: capture }))).toEqual(rule('windows'))
    })

    test('rule kill-switch, for runners too', () => {
      writeFileSync(etc('kill-switch'), '')
      const start = { verb: 'start', commandId: attempt.slice(0, -2), epoch: 1 }
      for (const request of [run('sleep', ['0.01']), start]) expect(ask(request)).toEqual(rule('kill-switch'))
    })

    test("of a stranger's executor only facts are asked for while a rule forbids its command", () => {
      const isolate = { verb: 'isolate', plugin: 'demo', seconds: 10 }
      const fact = { say: 'fact', name: 'a\u2028b' }
      const command = { say: 'command', command: 'look', input: {}, commandId: 'x' }
      const lines = (...orders: unknown[]) => ({
        more: orders.map((one) => `${JSON.stringify(one)}\n`).join(''),
      })
      const kept = () => ask(isolate, lines(fact, command))
      expect(kept()).toMatchObject({ status: 0, last: command })
      writeFileSync(etc('kill-switch'), '')
      expect(kept()).toEqual(rule('kill-switch'))
      expect(ask(isolate, lines(fact))).toMatchObject({ status: 0, last: fact })
      rmSync(etc('kill-switch'))
      policy('commands: { demo: [run] }')
      expect(kept()).toEqual(rule('commands'))
      policy('commands: { demo: [look] }')
      expect(kept()).toMatchObject({ status: 0, last: command })
      policy('mode: everything')
      expect(kept()).toEqual(rule('file'))
      expect(ask(isolate, { more: '{"say":\n' })).toEqual(refused())
    })

    test('and nothing at all where it is not understood, or others may write it', () => {
      policy('mode: everything')
      expect(ask(run('sleep', ['0.01']))).toEqual(rule('file'))
      policy('mode: full')
      expect(ask(run('sleep', ['0.01'])).status).toBe(0)
      chmodSync(etc('policy.yaml'), 0o666)
      expect(ask(run('sleep', ['0.01']))).toEqual(rule('file'))
      chmodSync(etc('policy.yaml'), 0o644)
      chownSync(etc(), peer, peer)
      rmSync(etc('policy.yaml'))
      expect(ask(run('sleep', ['0.01']))).toEqual(refused(expect.stringContaining('must belong to root')))
      chownSync(etc(), 0, 0)
    })
  })
})

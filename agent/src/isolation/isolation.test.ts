import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutorContext, Manifest } from '@fleetupdate/sdk'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { buildAgent } from '../../build.mjs'
import { attemptFolder, prepareAttempt, readProgress, requestCancel } from '../attempts.ts'
import { createExecutorContext } from '../executor-context.ts'
import { createLog } from '../log.ts'
import { createPrivilegedWay } from '../privilege/privilege.ts'
import { runAttempt } from '../runner/runner.ts'
import { writeExecutor } from '../testing/write-executor.ts'
import { type IsolatedExecutor, loadIsolated } from './isolated-executor.ts'
import type { IsolatedSource } from './isolated-process.ts'
import { createStartIsolated } from './start-process.ts'

const program = mkdtempSync(join(tmpdir(), 'isolation-program-'))
await buildAgent(program)
const start = createStartIsolated({
  ...{ node: process.execPath, main: join(program, 'main.js'), systemd: false, throughHelper: undefined },
})
const log = createLog(() => undefined, { least: 'error' })
const way = createPrivilegedWay('direct', { helper: '/nowhere', systemd: false })
const commandId = '01890a5d-ac96-774b-bcce-b302099a8057'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'isolation-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))
afterAll(() => rmSync(program, { recursive: true, force: true }))

/** For a module: writes past everything that the process has in place. */
const raw = `import { writeSync } from 'node:fs'
const raw = (text) => { for (let rest = Buffer.from(text); rest.length > 0; ) try { rest = rest.subarray(writeSync(1, rest)) } catch {} }
`

interface Written {
  readonly module?: string
  readonly facts?: object
  readonly commands?: object
  readonly manifest?: Partial<Manifest>
}

/** The body of a module that has these facts and commands; what is not said is harmless. */
const parts = (text: string): string => `export default { contract, facts: {}, commands: {}, ${text} }`

function write({ module = parts(''), facts = {}, commands = {}, manifest = {} }: Written): IsolatedSource {
  const folder = writeExecutor(dir, { id: 'acme', module, contract: { facts, commands }, manifest })
  const entry = join(folder, 'dist/executor.js')
  const entrySha256 = createHash('sha256').update(readFileSync(entry)).digest('hex')
  const whole: Manifest = { id: 'acme', sdk: '1', executor: './dist/executor.js', ...manifest }
  return { id: 'acme', manifest: whole, entry, entrySha256, bundle: 'a'.repeat(64) }
}

const load = (written: Written): Promise<IsolatedExecutor> => loadIsolated(start, write(written))

function context(
  manifest: Manifest = { id: 'acme', sdk: '1' },
  signal = AbortSignal.timeout(20_000),
): ExecutorContext {
  return createExecutorContext({
    ...{ manifest, way, log, signal, scratch: dir, privileges: async () => [] },
    excludes: async (name) => name === 'held',
  })
}

async function fact(loaded: IsolatedExecutor, name: string, signal?: AbortSignal): Promise<unknown> {
  const source = loaded.executor.facts[name]
  const collect = typeof source === 'object' ? source.collect : source
  return collect?.(context(undefined, signal))
}

/** The processes of the agent's program for executors that run at this moment. */
function processes(): string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(join(program, 'executor-process.js'))
    } catch {
      return false
    }
  })
}
const noProcess = async (): Promise<void> => {
  await expect.poll(() => processes(), { timeout: 8000 }).toEqual([])
}

describe('an executor that did not come with the agent', () => {
  test('tells its contract and its facts from a process of its own, which is gone a moment later', async () => {
    const loaded = await load({
      facts: { hour: { type: 'integer' }, host: { type: 'string' } },
      commands: { go: { lane: 'x', effect: 'observe' } },
      module: parts(`facts: {
        hour: { everySeconds: 3600, collect: () => 7 },
        host: async ({ readFile, exists }) => (await exists('/proc/version')) && (await readFile('/proc/version')) && process.getuid() + ' ' + process.pid
      }, commands: { go() {} }`),
    })
    expect(loaded.contractHash).toMatch(/^[0-9a-f]{16}$/)
    expect(loaded.executor.contract.commands.go).toEqual({ input: {}, lane: 'x', effect: 'observe' })
    expect(loaded.executor.facts.hour).toMatchObject({ everySeconds: 3600 })
    expect(await fact(loaded, 'hour')).toBe(7)
    const [uid, pid] = String(await fact(loaded, 'host')).split(' ')
    expect(Number(uid)).toBe(process.getuid?.() === 0 ? 65_534 : process.getuid?.())
    // One process for all facts of a round.
    expect(String(await fact(loaded, 'host'))).toBe(`${uid} ${pid}`)
    await noProcess()
  })

  test('checks its facts itself', async () => {
    const loaded = await load({
      facts: { bad: { type: 'integer' }, none: {} },
      module: parts(`facts: { bad: () => 'text', none: () => undefined }`),
    })
    await expect(fact(loaded, 'bad')).rejects.toThrow('does not fit its contract')
    await expect(fact(loaded, 'none')).rejects.toThrow('gave no value')
  })

  test.each<[string, string, RegExp]>([
    ['throws while it loads', 'throw new Error("no luck")', /no luck/],
    ['ends its process while it loads', 'process.exit(3)', /exit code 3/],
    ['has no executor', 'export default 1', /no executor/],
    [
      'is for another plugin',
      `export default { contract: { ...contract, id: 'os-updates' }, facts: {}, commands: {} }`,
      /os-updates/,
    ],
    ['floods stdout', `${raw}for (;;) raw('x'.repeat(65536) + '\\n')`, /protocol|too much/],
    ['writes a line without end', `${raw}for (;;) raw('x'.repeat(65536))`, /too long a line|too much/],
    [
      'says what is not of the protocol',
      `${raw}raw('{"__proto__":{"say":"described"}}\\n')\nawait new Promise(() => {})`,
      /protocol/,
    ],
    [
      'names a contract with too much in it',
      `contract.facts = Object.fromEntries(Array.from({ length: 1000 }, (_, n) => ['f' + n, {}])); export default { contract, facts: new Proxy({}, { get: () => () => 1 }), commands: {} }`,
      /too much in it|lacks/,
    ],
    [
      'names a deep contract',
      `let deep = {}; for (let n = 0; n < 20000; n++) deep = { not: deep }; contract.facts = { deep }; export default { contract, facts: { deep: () => 1 }, commands: {} }`,
      /./,
    ],
  ])('is refused where it %s, and nothing of it stays', async (_what, module, reason) => {
    await expect(load({ module })).rejects.toThrow(reason)
    await noProcess()
  })

  test('is refused where its module is not the one that was signed', async () => {
    const source = write({})
    await expect(loadIsolated(start, { ...source, entrySha256: '0'.repeat(64) })).rejects.toThrow(
      /not the one that was signed/,
    )
  })

  test('neither holds up nor fills the agent when a fact loops, leaks, floods or crashes', async () => {
    const loaded = await load({
      facts: { loop: {}, leak: {}, flood: {}, crash: {}, late: {}, sound: {} },
      module: `${raw}${parts(`facts: {
        loop() { for (;;) {} },
        leak() { const all = []; for (;;) all.push({ text: 'x'.repeat(100) + all.length }) },
        flood() { for (let n = 0; ; n++) raw(JSON.stringify({ say: 'log', message: 'x'.repeat(60000) }) + '\\n') },
        crash() { process.kill(process.pid, 'SIGSEGV') },
        late() { setTimeout(() => { throw new Error('later') }, 20); return new Promise(() => {}) },
        sound: () => 1,
      }`)}`,
    })
    const before = process.memoryUsage().rss
    const ticks = countTicks()
    await expect(fact(loaded, 'loop', AbortSignal.timeout(1500))).rejects.toThrow('took too long')
    await expect(fact(loaded, 'leak')).rejects.toThrow(/signal SIGABRT|heap|exit code/)
    await expect(fact(loaded, 'flood')).rejects.toThrow('too much')
    await expect(fact(loaded, 'crash')).rejects.toThrow(/SIGSEGV/)
    await expect(fact(loaded, 'late')).rejects.toThrow('later')
    expect(await fact(loaded, 'sound')).toBe(1)
    expect(ticks.end()).toBeLessThan(1000)
    expect((process.memoryUsage().rss - before) / 1e6).toBeLessThan(60)
    await noProcess()
  })

  test('reads no environment and no file of others, writes nothing outside a folder of its own in /tmp, and starts only what it declares', async () => {
    process.env.SECRET_OF_THE_AGENT = 'x'
    writeFileSync(join(dir, 'secret'), 'x', { mode: 0o644 })
    chmodSync(dir, 0o755)
    const loaded = await load({
      facts: { env: {}, secret: {}, file: {}, child: {}, undeclared: {}, df: {} },
      manifest: { programs: ['echo'] },
      module: `import { readFileSync, writeFileSync } from 'node:fs'\n${parts(`facts: {
        env: () => Object.keys(process.env).sort(),
        secret() { try { return readFileSync(${JSON.stringify(join(dir, 'secret'))}, 'utf8') } catch (error) { return error.code } },
        file() { try { writeFileSync(${JSON.stringify(join(dir, 'x'))}, '') } catch (error) { return error.code } },
        child: async ({ run }) => (await run('echo', ['hello'])).stdout,
        undeclared: ({ run }) => run('cat', ['/etc/hostname']),
        df: 1,
      }`).replace('df: 1,', 'df: () => 1,')}`,
    })
    expect(await fact(loaded, 'env')).toEqual(['HOME', 'LANG', 'PATH'])
    expect(await fact(loaded, 'secret')).toBe('ERR_ACCESS_DENIED')
    expect(await fact(loaded, 'file')).toMatch(/ERR_ACCESS_DENIED|EACCES/)
    expect(await fact(loaded, 'child')).toBe('hello\n')
    await expect(fact(loaded, 'undeclared')).rejects.toThrow('may not start cat')
    delete process.env.SECRET_OF_THE_AGENT
  })

  test('becomes root only with what its manifest declares, and a pattern that never ends is no way in', async () => {
    const privileges = [
      { id: 'ok', reason: 'r', program: '/usr/bin/id', args: ['-u'] },
      { id: 'slow', reason: 'r', program: '/usr/bin/env', args: [{ pattern: '(a+)+' }] },
    ]
    const manifest: Manifest = { id: 'acme', sdk: '1', privileges }
    const loaded = await load({
      facts: { granted: {}, other: {}, slow: {}, held: {} },
      manifest: { privileges },
      module: `${raw}
        const ask = (program, args) => new Promise(() => raw(JSON.stringify({ say: 'ask', id: 77, ask: 'run', program, args, options: {} }) + '\\n'))
        ${parts(`facts: {
          held: async ({ excludes }) => [await excludes('held'), await excludes('free')],
          granted: async ({ run }) => (await run('id', ['-u'])).stdout,
          other: async ({ run }) => { try { return await run('id', ['-g']) } catch (error) { return error.code } },
          slow: () => ask('/usr/bin/env', ['a'.repeat(60) + '!']),
        }`)}`,
    })
    const collect = (name: string, signal?: AbortSignal) =>
      (loaded.executor.facts[name] as (one: ExecutorContext) => unknown)(
        context({ ...manifest, programs: [] }, signal),
      )
    expect(await collect('granted')).toBe(`${process.getuid?.()}\n`)
    expect(await collect('other')).toBe('FLT_RUN_UNDECLARED')
    expect(await collect('held')).toEqual([true, false])
    const ticks = countTicks()
    await expect(collect('slow', AbortSignal.timeout(1500))).rejects.toThrow('took too long')
    expect(ticks.end()).toBeLessThan(1000)
  })
})

describe('a command of such an executor', () => {
  const source: Written = {
    facts: {},
    commands: {
      all: {
        input: {
          type: 'object',
          properties: { n: { type: 'integer', pattern: '^(a+)+$' } },
          additionalProperties: false,
        },
      },
      fails: {},
      throws: {},
      loops: {},
      steps: { cancel: 'safe-point' },
      dies: {},
      root: {},
      lies: {},
    },
    manifest: {
      programs: ['echo', 'sleep'],
      privileges: [{ id: 'ok', reason: 'r', program: '/usr/bin/id', args: ['-u'] }],
    },
    // A character that some readers take for the end of a line.
    module: `${raw}import { existsSync } from 'node:fs'\nexport const separator = '\u2028'\n${parts(`commands: {
      async all({ n }, { run, write, progress, directory, commandId, log }) {
        write('héllo\\n'); console.log('to the log'); progress({ percent: 40, message: 'half' })
        await run('echo', ['out', String(n)])
        const { stdout } = await run('echo', ['caught'], { output: 'capture' })
        return { stdout, n, there: existsSync(directory), commandId }
      },
      fails: (_, { fail }) => fail('not today', { exitCode: 7 }),
      throws() { throw Object.assign(new Error('boom'), { code: 'FLT_ATTEMPT_TAKEN' }) },
      loops() { for (;;) {} },
      async steps(_, { checkpoint, write }) { for (;;) { checkpoint(); await new Promise((r) => setTimeout(r, 50)) } },
      dies() { process.exit(9) },
      root: async (_, { run }) => (await run('id', ['-u'], { output: 'capture' })).stdout.trim(),
      lies() { raw(JSON.stringify({ say: 'result', value: 'x'.repeat(600000) }) + '\\n'); return new Promise(() => {}) },
    }`)}`,
  }

  async function run(command: string, more: { input?: unknown; seconds?: number; safePoint?: boolean } = {}) {
    const { entrySha256 = '', bundle = '' } = write(source)
    const folder = await prepareAttempt(join(dir, 'attempts'), {
      ...{ commandId, epoch: 1, plugin: 'acme', command, input: more.input ?? {}, endless: false },
      timeoutSeconds: more.seconds ?? 60,
      ...{ expiresAt: '2030-01-01T00:00:00.000Z', startedAt: '2026-01-01T00:00:00.000Z', way: 'direct' },
      ...{ executors: [dir], folder: join(dir, 'acme') },
      isolated: { bundle, entrySha256, safePoint: more.safePoint ?? false },
    })
    if (!folder) throw new Error('the attempt exists already')
    const never = new AbortController().signal
    const ending = runAttempt({
      ...{ dir: folder.dir, pid: process.pid, log, shutdown: never, crashed: never },
      way: () => way,
      startIsolated: () => start,
    })
    return { folder, ending }
  }
  beforeEach(async () => {
    const { mkdirSync } = await import('node:fs')
    mkdirSync(join(dir, 'attempts'))
  })

  test('writes, reports, runs programs and answers through its runner', async () => {
    const { folder, ending } = await run('all', { input: { n: 3 } })
    expect(await ending).toMatchObject({
      state: 'succeeded',
      result: { stdout: 'caught\n', n: 3, there: true, commandId },
    })
    expect(readFileSync(folder.output, 'utf8')).toBe(
      '$ acme.all\nhéllo\n$ echo out 3\nout 3\n$ echo caught\n',
    )
    expect(await readProgress(attemptFolder(folder.dir))).toEqual({ percent: 40, message: 'half' })
    expect(existsSync(join(folder.dir, 'work'))).toBe(false)
    await noProcess()
  })

  test.each<[string, object, object]>([
    ['fails', {}, { state: 'failed', reason: 'not today', exitCode: 7 }],
    ['throws', {}, { state: 'failed', reason: 'boom' }],
    ['dies', {}, { state: 'failed', reason: expect.stringContaining('exit code 9') }],
    ['root', {}, { state: 'succeeded', result: String(process.getuid?.()) }],
    ['lies', {}, { state: 'failed', reason: expect.stringContaining('600002 bytes') }],
    [
      'all',
      { input: { n: 1, more: 2 } },
      { state: 'failed', reason: expect.stringContaining('input does not fit') },
    ],
    ['loops', { seconds: 1 }, { state: 'timed_out' }],
  ])(
    '%s %j ends as %j',
    async (command, more, expected) => {
      const { ending } = await run(command, more)
      expect(await ending).toMatchObject(expected)
      await noProcess()
    },
    40_000,
  )

  test('is stopped by a cancel at its next safe point', async () => {
    const { folder, ending } = await run('steps', { safePoint: true })
    await requestCancel(folder, { force: false })
    expect(await ending).toMatchObject({ state: 'cancelled' })
    await noProcess()
  })
})

/** The longest pause of this process, in ms: what an agent would miss its heartbeats by. */
function countTicks(): { end(): number } {
  let last = performance.now()
  let longest = 0
  const timer = setInterval(() => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
  }, 20)
  return {
    end() {
      clearInterval(timer)
      return Math.max(longest, performance.now() - last)
    },
  }
}

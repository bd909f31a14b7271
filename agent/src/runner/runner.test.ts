import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AgentFrame } from '@fleetupdate/sdk/protocol'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { burySilentAttempt } from '../attempt-burial.ts'
import { superviseAttempt } from '../attempt-supervisor.ts'
import {
  type AttemptFolder,
  claimAttempt,
  prepareAttempt,
  readEnding,
  requestCancel,
  runningPrograms,
} from '../attempts.ts'
import { openJournal } from '../journal.ts'
import { createLog } from '../log.ts'
import { createPrivilegedWay } from '../privilege/privilege.ts'
import type { AttemptRequest } from '../schemas.ts'
import { writeExecutor } from '../testing/write-executor.ts'
import { runAttempt } from './runner.ts'

let dir = ''
let told: string[] = []
beforeEach(() => {
  told = []
  dir = mkdtempSync(join(tmpdir(), 'agent-runner-'))
  mkdirSync(join(dir, 'attempts'))
  writeExecutor(join(dir, 'executors'), {
    id: 'demo',
    manifest: {
      programs: ['echo', 'sleep', 'false', 'sh', 'cat', 'env'],
      privileges: [
        { id: 'who', reason: 'to test', program: '/usr/bin/id', args: ['-u'], env: { GREETING: 'hi' } },
      ],
    },
    contract: { commands: { ...all, safe: { cancel: 'safe-point' }, keeping: { cancel: 'safe-point' } } },
    module: `import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
const tick = () => new Promise((done) => setTimeout(done, 10))
export default { contract, facts: {}, commands: {
  async says({ text }, { run, write, progress, directory }) {
    await run('echo', [text, 'a b'])
    write('by hand é\\n')
    progress({ percent: 120, message: 'half' })
    const { stdout } = await run('cat', [], { input: 'caught', output: 'capture' })
    writeFileSync(join(directory, 'scratch'), '')
    return { stdout }
  },
  fails: (_, { run }) => run('false'),
  breaks: (_, { fail }) => fail('The disk is full.', { exitCode: 100 }),
  throws: () => { throw new TypeError('oops') },
  undeclared: (_, { run }) => run('ls'),
  root: async (_, { run }) => ({ stdout: (await run('id', ['-u'], { output: 'capture' })).stdout }),
  notquite: (_, { run }) => run('id', ['-u', '-n']),
  clean: async (_, { run }) => ({ stdout: (await run('env', [], { output: 'capture' })).stdout }),
  sleeps: (_, { run }) => run('sh', ['-c', 'sleep 611 & sleep 611']),
  stubborn: () => new Promise(() => {}),
  huge: () => 'x'.repeat(600_000),
  async safe(_, { run, checkpoint, write }) { await run('sleep', ['0.5']); write('reached\\n'); checkpoint(); write('not reached\\n') },
  async keeping(_, { run, write }) { await run('sleep', ['1.5'], { onAbort: 'never' }); write('kept\\n') },
} }`,
  })
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const names = [
  'says',
  'fails',
  'breaks',
  'throws',
  'undeclared',
  'root',
  'notquite',
  'clean',
  'sleeps',
  'stubborn',
  'huge',
]
const all = Object.fromEntries(names.map((name) => [name, {}]))
const commandId = '01890a5d-ac96-774b-bcce-b302099a8057'
const log = createLog(() => undefined, { least: 'error' })
const telling = { error: (text: string) => void told.push(text) }

async function prepare(command: string, more: Partial<AttemptRequest> = {}): Promise<AttemptFolder> {
  const folder = await prepareAttempt(join(dir, 'attempts'), {
    ...{ commandId, epoch: 1, plugin: 'demo', command, input: {}, timeoutSeconds: 60, endless: false },
    ...{ expiresAt: '2030-01-01T00:00:00.000Z', startedAt: '2026-01-01T00:00:00.000Z', way: 'direct' },
    ...{ executors: [join(dir, 'executors')], folder: join(dir, 'executors', 'demo') },
    ...more,
  })
  if (!folder) throw new Error('the attempt exists already')
  return folder
}

function attempt(folder: AttemptFolder, signals: { shutdown?: AbortSignal; crashed?: AbortSignal } = {}) {
  const never = new AbortController().signal
  return runAttempt({
    dir: folder.dir,
    pid: process.pid,
    way: (kind) => createPrivilegedWay(kind, { helper: '/nowhere/root-helper', systemd: false }),
    startIsolated: () => () => {
      throw new Error('nothing is isolated here')
    },
    log,
    shutdown: signals.shutdown ?? never,
    crashed: signals.crashed ?? never,
  })
}

const output = (folder: AttemptFolder): string => readFileSync(folder.output, 'utf8')

/** Processes whose command line holds a text: to see that none is left. */
function processesWith(text: string): string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(text)
    } catch {
      return false
    }
  })
}

describe('a runner', () => {
  test('runs the command, with every program named in the output, and writes its result', async () => {
    const folder = await prepare('says', { input: { text: "it's" } })
    expect(await attempt(folder)).toMatchObject({ state: 'succeeded', result: { stdout: 'caught' } })
    expect(output(folder)).toBe("$ demo.says\n$ echo 'it'\\''s' 'a b'\nit's a b\nby hand é\n$ cat\n")
    await expect
      .poll(() => JSON.parse(readFileSync(folder.file('progress.json'), 'utf8')))
      .toEqual({ percent: 100, message: 'half' })
    expect(existsSync(folder.work)).toBe(false)
    expect(await readEnding(folder)).toMatchObject({
      state: 'succeeded',
      startedAt: '2026-01-01T00:00:00.000Z',
    })
  })

  test.each([
    [
      'fails',
      { state: 'failed', exitCode: 1, reason: expect.stringMatching(/false ended with exit code 1/) },
    ],
    ['breaks', { state: 'failed', exitCode: 100, reason: 'The disk is full.' }],
    ['throws', { state: 'failed', reason: 'oops' }],
    ['undeclared', { state: 'failed', reason: expect.stringMatching(/may not start ls/) }],
    ['notquite', { state: 'failed', reason: expect.stringMatching(/may not start id -u -n/) }],
    ['huge', { state: 'failed', reason: expect.stringMatching(/at most 524288/) }],
  ])('says why %s failed', async (command, expected) => {
    expect(await attempt(await prepare(command))).toMatchObject(expected)
  })

  test('survives an executor that throws out of a timer', async () => {
    const crashed = new AbortController()
    const folder = await prepare('stubborn')
    setTimeout(() => crashed.abort(new Error('from a timer')), 50)
    expect(await attempt(folder, { crashed: crashed.signal })).toMatchObject({
      state: 'failed',
      reason: 'from a timer',
    })
  })

  test('gives programs a fixed environment, and privileged ones what their manifest says', async () => {
    const { result } = await attempt(await prepare('clean'))
    const { stdout } = result as { stdout: string }
    expect(stdout.trim().split('\n').sort()).toEqual([
      'HOME=/root',
      'LANG=C.UTF-8',
      'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
    ])
  })

  test('starts what matches a privilege as root, or says what is missing', async () => {
    const none = await attempt(await prepare('root', { way: 'none' }))
    expect(none).toMatchObject({
      state: 'failed',
      reason: expect.stringMatching(/NOPASSWD: \/nowhere\/root-helper ""/),
    })
    const direct = await attempt(await prepare('root', { epoch: 2 }))
    expect(direct).toMatchObject({ state: 'succeeded', result: { stdout: `${process.getuid?.()}\n` } })
  })

  test('ends all processes of the command on a cancel', async () => {
    const folder = await prepare('sleeps')
    const running = attempt(folder)
    await expect.poll(() => processesWith('sleep\x00611').length).toBe(2)
    await requestCancel(folder, { force: false })
    expect(await running).toMatchObject({ state: 'cancelled' })
    await expect.poll(() => processesWith('sleep\x00611')).toEqual([])
    expect(await runningPrograms(folder)).toEqual([])
  })

  test('ends the command when its time is up', async () => {
    const folder = await prepare('sleeps', { timeoutSeconds: 1 })
    expect(await attempt(folder)).toMatchObject({ state: 'timed_out' })
    await expect.poll(() => processesWith('sleep\x00611')).toEqual([])
  })

  test('lets a command of safe points stop only there', async () => {
    const folder = await prepare('safe')
    const running = attempt(folder)
    await requestCancel(folder, { force: false })
    expect(await running).toMatchObject({ state: 'cancelled' })
    expect(output(folder)).toBe('$ demo.safe\n$ sleep 0.5\nreached\n')
  })

  test('never ends a program that must not be ended, unless forced', async () => {
    const patient = await prepare('keeping', { timeoutSeconds: 1 })
    expect(await attempt(patient)).toMatchObject({ state: 'succeeded' })
    expect(output(patient)).toContain('kept')
    const forced = await prepare('keeping', { epoch: 2 })
    const running = attempt(forced)
    await expect.poll(async () => (await runningPrograms(forced)).length).toBe(1)
    await requestCancel(forced, { force: true })
    expect(await running).toMatchObject({ state: 'cancelled' })
  })
})

describe('an attempt', () => {
  test('is run by the first of two runners alone', async () => {
    const folder = await prepare('says', { input: { text: 'once' } })
    const both = await Promise.allSettled([attempt(folder), attempt(folder), attempt(folder)])
    expect(both.filter(({ status }) => status === 'fulfilled').length).toBe(1)
    expect(both.filter((one) => one.status === 'rejected').map(({ reason }) => reason.code)).toEqual([
      'FLT_ATTEMPT_TAKEN',
      'FLT_ATTEMPT_TAKEN',
    ])
    expect(output(folder).split('once').length).toBe(3)
  })

  test('that nobody claimed is buried, and a late runner finds it taken', async () => {
    const folder = await prepare('says')
    const entry = {
      commandId,
      epoch: 1,
      folder,
      startedAt: '2026-01-01T00:00:00.000Z',
      request: undefined,
      damage: '',
    }
    await burySilentAttempt(entry, false)
    expect(await readEnding(folder)).toBeUndefined()
    await burySilentAttempt(entry, true)
    expect(await readEnding(folder)).toMatchObject({ state: 'interrupted' })
    await expect(attempt(folder)).rejects.toMatchObject({ code: 'FLT_ATTEMPT_TAKEN' })
    expect(output(folder)).toBe('$ demo.says\n')
  })

  test('cannot be prepared twice, also by a journal that was opened anew', async () => {
    const folder = await prepare('says')
    await expect(prepare('says')).rejects.toThrow('exists')
    const journal = await openJournal(dir, telling)
    expect(journal.has(commandId, 1)).toBe(true)
    expect(journal.highestEpoch(commandId)).toBe(1)
    expect((await journal.open()).map((entry) => entry.folder.dir)).toEqual([folder.dir])
  })

  const cuts = ['started', 'request.json'].flatMap((name) =>
    ['missing', 'empty', 'zeros'].map((left) => ({ name, left })),
  )
  const leave = (path: string, left: string): void => {
    const { length } = readFileSync(path)
    rmSync(path)
    if (left !== 'missing') writeFileSync(path, Buffer.alloc(left === 'zeros' ? length : 0))
  }
  test.each(cuts)('whose start a power cut left with $name $left may be offered again', async (cut) => {
    const folder = await prepare('says')
    leave(folder.file(cut.name), cut.left)
    const journal = await openJournal(dir, telling)
    expect(await journal.open()).toEqual([])
    expect(journal.has(commandId, 1)).toBe(false)
    expect(told).toEqual([])
    await prepare('says')
  })

  test.each(cuts)('is no new one with $name $left where somebody took it', async (cut) => {
    const folder = await prepare('says')
    await claimAttempt(folder)
    leave(folder.file(cut.name), cut.left)
    const journal = await openJournal(dir, telling)
    const [entry] = await journal.open()
    expect(journal.has(commandId, 1)).toBe(true)
    if (entry) await burySilentAttempt(entry, true)
    expect((await readEnding(folder))?.state).toBe('interrupted')
  })

  test('is kept, as its verdict alone, until 30 days after it expired', async () => {
    const folder = await prepare('says', { expiresAt: '2026-06-01T00:00:00.000Z' })
    await attempt(folder)
    const journal = await openJournal(dir, telling)
    const time = '2026-01-01T00:00:00.000Z'
    const frame = {
      type: 'result',
      commandId,
      epoch: 1,
      state: 'succeeded',
      output: { bytes: 1 },
      startedAt: time,
      finishedAt: time,
    } as const
    await journal.writeFinalFrame(frame)
    await journal.acknowledge(commandId, 1)
    expect(existsSync(folder.output)).toBe(false)
    expect(await journal.open()).toEqual([])
    expect(await journal.finalFrame(commandId, 1)).toEqual(frame)
    await journal.sweep(Date.parse('2026-06-30T00:00:00.000Z'))
    expect(journal.has(commandId, 1)).toBe(true)
    await journal.sweep(Date.parse('2026-07-02T00:00:00.000Z'))
    expect(journal.has(commandId, 1)).toBe(false)
  })

  test('that was cancelled before it came stays cancelled after a restart', async () => {
    await (await openJournal(dir, telling)).rememberCancel(commandId, 2)
    const journal = await openJournal(dir, telling)
    expect([1, 2, 3].map((epoch) => journal.isCancelled(commandId, epoch))).toEqual([true, true, false])
  })

  test('is not lost where its request was damaged: the file is kept aside, and everybody is told', async () => {
    const folder = await prepare('says')
    writeFileSync(folder.file('request.json'), '{')
    const journal = await openJournal(dir, telling)
    const [entry] = await journal.open()
    expect(entry).toMatchObject({ commandId, request: undefined, startedAt: '2026-01-01T00:00:00.000Z' })
    expect(told).toEqual([expect.stringMatching(/^FLT_ATTEMPT_DAMAGED: .*request\.json cannot be read/)])
    expect(readFileSync(folder.file('request.json.damaged'), 'utf8')).toBe('{')
    await expect(attempt(folder)).rejects.toMatchObject({ code: 'FLT_ATTEMPT_INVALID' })
    if (entry) await burySilentAttempt(entry, true)
    expect((await readEnding(folder))?.reason).toMatch(/The disk damaged request\.json/)
  })

  test.each(['result.json', 'claimed', 'final.json'])(
    'with a damaged %s still ends, and says so',
    async (name) => {
      const folder = await prepare('says')
      await attempt(folder)
      // Its runner is gone.
      writeFileSync(folder.file('claimed'), JSON.stringify({ pid: 1, startTicks: '', bootId: '' }))
      const whole = name === 'final.json' ? '' : readFileSync(folder.file(name))
      writeFileSync(folder.file(name), whole.slice(0, 10))
      const journal = await openJournal(dir, telling)
      const [entry] = await journal.open()
      expect(entry?.damage).toContain(name)
      expect(existsSync(folder.file(`${name}.damaged`))).toBe(true)
      if (entry) await burySilentAttempt(entry, true)
      // A verdict that is still readable counts; one that is not is no guess.
      expect((await readEnding(folder))?.state).toBe(name === 'result.json' ? 'interrupted' : 'succeeded')
    },
  )

  test('does not keep the agent from starting where the disk cannot read a file of it', async () => {
    const folder = await prepare('says')
    // Answers EISDIR where a bad sector would answer EIO.
    rmSync(folder.file('request.json'))
    mkdirSync(folder.file('request.json'))
    const [entry] = await (await openJournal(dir, telling)).open()
    expect(entry?.damage).toContain('request.json')
    expect(existsSync(folder.file('request.json.damaged'))).toBe(true)
  })

  test('is taken up later where its record cannot be read at first, and its result is told', async () => {
    const folder = await prepare('says')
    await attempt(folder)
    const journal = await openJournal(dir, telling)
    const [entry] = await journal.open()
    if (!entry) throw new Error('No attempt is open.')
    mkdirSync(folder.file('final.json'))
    const sent: AgentFrame[] = []
    const failures: string[] = []
    let resolve: (frame: AgentFrame) => void
    const resultSent = new Promise<AgentFrame>((settle) => {
      resolve = settle
    })
    const supervisor = superviseAttempt({
      entry,
      journal,
      origin: 'found',
      outbox: {
        online: true,
        send(frame) {
          sent.push(frame)
          if (frame.type === 'output')
            supervisor.acknowledged({ type: 'ack', commandId, epoch: 1, output: frame.end })
          if (frame.type === 'result') resolve(frame)
        },
      },
      log: createLog((line) => void failures.push(line), { least: 'error' }),
      ended: () => undefined,
      settled: () => undefined,
    })
    await supervisor.announced
    expect(failures).toEqual([expect.stringContaining('EISDIR')])
    expect(sent).toEqual([])
    rmdirSync(folder.file('final.json'))
    expect(await resultSent).toMatchObject({ state: 'succeeded', commandId })
    await supervisor.close()
  })

  test('that is long acknowledged is answered for, also where the disk damaged its record', async () => {
    const folder = await prepare('says')
    await attempt(folder)
    const journal = await openJournal(dir, telling)
    await journal.acknowledge(commandId, 1)
    writeFileSync(folder.file('final.json'), '{"type":')
    expect(await journal.lastWord(commandId, 1)).toMatchObject({ type: 'result', state: 'succeeded' })
    writeFileSync(folder.file('final.json'), '')
    writeFileSync(folder.file('result.json'), '')
    expect(await journal.lastWord(commandId, 1)).toMatchObject({
      state: 'interrupted',
      reason: expect.stringContaining('damaged the record'),
    })
    // And the same from then on.
    expect((await journal.finalFrame(commandId, 1))?.state).toBe('interrupted')
  })
})

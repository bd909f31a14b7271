import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ServerFrameOf } from '@fleetupdate/sdk/protocol'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { buildAgent } from '../build.mjs'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { writeExecutor } from './testing/write-executor.ts'

const psk = 'a-secret-for-tests-0123456789'
let built = ''
let dir = ''
let server: TestServer
const children: ChildProcess[] = []

beforeAll(async () => {
  built = mkdtempSync(join(tmpdir(), 'agent-built-'))
  await buildAgent(built)
})
afterAll(() => rmSync(built, { recursive: true, force: true }))
afterEach(async () => {
  for (const child of children.splice(0)) await stop(child, 'SIGTERM')
  await server.close()
  rmSync(dir, { recursive: true, force: true })
})

async function prepare(): Promise<void> {
  dir = mkdtempSync(join(tmpdir(), 'agent-'))
  server = await startTestServer(psk)
  writeExecutor(join(built, 'executors'), {
    id: 'demo',
    contract: {
      facts: { answer: { type: 'integer' } },
      commands: {
        lines: {
          input: { type: 'object', required: ['count'], properties: { count: { type: 'integer' } } },
          lane: 'packages',
        },
        slow: { lane: 'packages' },
        sleep: {},
        crash: {},
      },
    },
    manifest: { programs: ['seq', 'sleep', 'sh'] },
    module: `import { existsSync } from 'node:fs'
export default {
  contract,
  facts: { answer: () => 42 },
  commands: {
    async lines({ count }, { run, progress }) { await run('seq', ['1', String(count)]); progress({ percent: 50 }); return { count } },
    async slow({}, { write, checkpoint }) {
      write('before\\n')
      while (!existsSync(${JSON.stringify(join(dir, 'go'))})) { checkpoint(); await new Promise((done) => setTimeout(done, 20)) }
      write('after\\n')
      return { done: true }
    },
    async sleep({}, { run }) { await run('sleep', ['600']) },
    crash: () => new Promise(() => setTimeout(() => { throw new Error('from a timer') }, 10)),
  },
}`,
  })
  const agent = {
    id: 'vm-1',
    server_url: server.url,
    psk,
    state_dir: join(dir, 'state'),
    executors: [join(built, 'executors')],
  }
  const lines = Object.entries(agent).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}`)
  writeFileSync(join(dir, 'config.yaml'), `agent:\n${lines.join('\n')}\n`)
}

function startAgent(): ChildProcess {
  const child = spawn(process.execPath, [join(built, 'main.js')], {
    env: { PATH: process.env.PATH, AGENT_CONFIG: join(dir, 'config.yaml') },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  children.push(child)
  return child
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill(signal)
  await ended
}

let counter = 0
function offer(
  command: string,
  input: unknown = {},
  more: Partial<ServerFrameOf<'offer'>> = {},
): ServerFrameOf<'offer'> {
  counter += 1
  return {
    type: 'offer',
    commandId: `01890a5d-ac96-774b-bcce-b302099a${String(counter).padStart(4, '0')}`,
    epoch: 1,
    plugin: 'demo',
    command,
    input,
    timeoutSeconds: 60,
    endless: false,
    notAfter: new Date(Date.now() + 60_000).toISOString(),
    expiresAt: new Date(Date.now() + 86_400_000).toISOString(),
    ...more,
  }
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

describe('session tickets', () => {
  test('are stored before they are confirmed, and shown in the next session, also by the next process', async () => {
    await prepare()
    const shown = async (ticket: string) => server.until('hello', (frame) => frame.ticket === ticket)
    const stored = () => readFileSync(join(dir, 'state', 'session-ticket'), 'utf8')
    const child = startAgent()
    await shown('')
    await server.until('ticket', ({ ticket }) => ticket === 'ticket-1')
    expect(stored()).toContain('"ticket-1"')
    server.drop()
    await shown('ticket-1')
    await server.until('ticket', ({ ticket }) => ticket === 'ticket-2')
    await stop(child, 'SIGKILL')
    startAgent()
    await shown('ticket-2')
    await server.until('ticket', ({ ticket }) => ticket === 'ticket-3')
    expect(statSync(join(dir, 'state', 'session-ticket')).mode & 0o777).toBe(0o600)
    // One slot was cut in the middle of a write: the other one counts.
    await stop(children.at(-1) as ChildProcess, 'SIGKILL')
    const text = stored()
    const at = text.indexOf('"ticket-3"')
    writeFileSync(join(dir, 'state', 'session-ticket'), `${text.slice(0, at)}\0\0\0${text.slice(at + 3)}`)
    startAgent()
    await server.until('hello', (frame) => frame.ticket === 'ticket-2' && frame !== undefined)
  })

  test('travel by polls too', async () => {
    await prepare()
    server.faults.webSocketBlocked = true
    startAgent()
    await server.until('ticket', ({ ticket }) => ticket === 'ticket-1')
    expect(server.sessions[0]?.way).toBe('poll')
  }, 40_000)
})

describe('an agent and its server', () => {
  test('enrols, says hello, tells its facts, and runs a command to its acknowledged end', async () => {
    await prepare()
    startAgent()
    const hello = await server.until('hello')
    expect(hello.executors).toMatchObject([{ id: 'demo', version: '1.2.3', health: 'ok' }])
    const facts = await server.until('facts')
    expect(facts.items).toMatchObject([{ plugin: 'demo', fact: 'answer', value: 42 }])
    expect(statSync(join(dir, 'state', 'identity.json')).mode & 0o777).toBe(0o600)

    const lines = offer('lines', { count: 100_000 })
    server.send(lines)
    const result = await server.until('result')
    expect(result).toMatchObject({
      commandId: lines.commandId,
      state: 'succeeded',
      result: { count: 100_000 },
    })
    const { stored, end } = server.output(lines.commandId)
    const numbers = Array.from({ length: 100_000 }, (_, index) => `${index + 1}\n`).join('')
    expect(stored).toBe(`$ demo.lines\n$ seq 1 100000\n${numbers}`)
    expect(result.output).toEqual({ bytes: end, sha256: sha256(stored) })

    const before = server.frames.length
    server.send(lines)
    await server.until('result', (frame) => server.frames.indexOf(frame) >= before)
  })

  test('keeps a command running when the agent is killed, and reports it after it is back', async () => {
    await prepare()
    const first = startAgent()
    await server.until('hello')
    const slow = offer('slow')
    server.send(slow)
    await server.until('output', (frame) => frame.text.includes('before'))
    await stop(first, 'SIGKILL')
    writeFileSync(join(dir, 'go'), '')
    const before = server.frames.length
    startAgent()
    const result = await server.until('result')
    expect(result).toMatchObject({ commandId: slow.commandId, state: 'succeeded', result: { done: true } })
    expect(server.output(slow.commandId).stored).toBe('$ demo.slow\nbefore\nafter\n')
    expect(result.output.sha256).toBe(sha256('$ demo.slow\nbefore\nafter\n'))
    expect(
      server.frames.slice(before).some((frame) => frame.type === 'hello' && frame.attempts.length === 1),
    ).toBe(true)
  })

  test('says interrupted when the runner is killed, and leaves no process behind', async () => {
    await prepare()
    startAgent()
    await server.until('hello')
    const sleep = offer('sleep')
    server.send(sleep)
    await server.until('output', (frame) => frame.text.includes('$ sleep 600'))
    const folder = join(dir, 'state', 'attempts', `${sleep.commandId}.1`)
    await expect.poll(() => existsSync(join(folder, 'programs'))).toBe(true)
    process.kill(JSON.parse(readFileSync(join(folder, 'claimed'), 'utf8')).pid, 'SIGKILL')
    const result = await server.until('result')
    expect(result).toMatchObject({ state: 'interrupted' })
    expect(server.output(sleep.commandId).stored).toContain('$ sleep 600\n')
  })

  test('cancels a running command and its program', async () => {
    await prepare()
    startAgent()
    await server.until('hello')
    const sleep = offer('sleep')
    server.send(sleep)
    await server.until('output', (frame) => frame.text.includes('$ sleep 600'))
    server.send({ type: 'cancel', commandId: sleep.commandId, epoch: 1 })
    expect(await server.until('result')).toMatchObject({ state: 'cancelled' })
  })

  test('says why a command failed that threw where nobody could catch it', async () => {
    await prepare()
    startAgent()
    await server.until('hello')
    server.send(offer('crash'))
    expect(await server.until('result')).toMatchObject({ state: 'failed', reason: 'from a timer' })
  })

  test('answers each kind of offer it must not start with its reason', async () => {
    await prepare()
    startAgent()
    await server.until('hello')
    const slow = offer('slow')
    server.send(slow)
    await server.until('accept', (frame) => frame.commandId === slow.commandId)
    const past = new Date(Date.now() - 1000).toISOString()
    const cancelled = offer('lines', { count: 1 })
    const later = offer('lines', { count: 1 }, { lane: 'other' })
    const cases: [ServerFrameOf<'offer'>, string][] = [
      [offer('lines', { count: 1 }), 'busy'],
      [offer('lines', { count: 'x' }), 'schema'],
      [offer('nothing'), 'schema'],
      [offer('constructor'), 'schema'],
      [offer('lines', { count: 1 }, { plugin: 'absent' }), 'unavailable'],
      [offer('lines', { count: 1 }, { notAfter: past }), 'expired'],
      [offer('sleep', { unwanted: 1 }), 'schema'],
      [cancelled, 'cancelled'],
      [later, 'busy'],
    ]
    server.send({ type: 'cancel', commandId: cancelled.commandId, epoch: 1 })
    for (const [frame, kind] of cases) {
      server.send(frame)
      expect(await server.until('reject', (one) => one.commandId === frame.commandId)).toMatchObject({ kind })
    }
    const second = { ...slow, epoch: 2 }
    server.send(second)
    expect(await server.until('reject', (one) => one.commandId === slow.commandId)).toMatchObject({
      kind: 'busy',
    })
    server.send({ type: 'cancel', commandId: slow.commandId, epoch: 1 })
    await server.until('result', (one) => one.commandId === slow.commandId)
  })

  test('says interrupted where somebody removed the folder of an attempt, while it runs and after it ended', async () => {
    await prepare()
    startAgent()
    await server.until('hello')
    const folderOf = ({ commandId }: { commandId: string }): string =>
      join(dir, 'state', 'attempts', `${commandId}.1`)
    const removed = { state: 'interrupted', reason: expect.stringContaining('folder was removed') }
    const slow = offer('slow')
    server.send(slow)
    await server.until('accept', (frame) => frame.commandId === slow.commandId)
    await expect.poll(() => existsSync(join(folderOf(slow), 'claimed')), { timeout: 5000 }).toBe(true)
    rmSync(folderOf(slow), { recursive: true })
    expect(await server.until('result', (one) => one.commandId === slow.commandId)).toMatchObject(removed)
    writeFileSync(join(dir, 'go'), '')

    const lines = offer('lines', { count: 1 })
    server.send(lines)
    await server.until('result', (one) => one.commandId === lines.commandId)
    await expect.poll(() => existsSync(join(folderOf(lines), 'acknowledged')), { timeout: 5000 }).toBe(true)
    rmSync(folderOf(lines), { recursive: true })
    const before = server.frames.length
    server.send(lines)
    const again = (one: { commandId: string }): boolean =>
      one.commandId === lines.commandId && server.frames.indexOf(one as never) >= before
    expect(await server.until('result', again)).toMatchObject(removed)
  })

  test('sends everything again in a new session until it is acknowledged', async () => {
    await prepare()
    server.faults.acknowledgeResults = false
    server.faults.acknowledgeFacts = false
    startAgent()
    await server.until('facts')
    const lines = offer('lines', { count: 10 })
    server.send(lines)
    await server.until('result')
    server.faults.acknowledgeResults = true
    server.faults.acknowledgeFacts = true
    const before = server.frames.length
    server.drop()
    const again = await server.until('result', (frame) => server.frames.indexOf(frame) >= before)
    expect(again).toMatchObject({ commandId: lines.commandId, state: 'succeeded' })
    await server.until('facts', (frame) => server.frames.indexOf(frame) >= before)
    await expect
      .poll(() => existsSync(join(dir, 'state', 'attempts', `${lines.commandId}.1`, 'output.log')))
      .toBe(false)
  })

  test('finishes an enrolment whose last answer was lost', async () => {
    await prepare()
    server.faults.loseFinishAnswers = 1
    startAgent()
    await server.until('hello')
    expect(existsSync(join(dir, 'state', 'enrolment.json'))).toBe(false)
  })

  test('connects with a clock that is a year off, by the time the server signed', async () => {
    await prepare()
    server.faults.clockOffsetSeconds = 31_536_000
    startAgent()
    await server.until('hello')
    const lines = offer(
      'lines',
      { count: 1 },
      { notAfter: new Date(Date.now() + 31_540_000_000).toISOString() },
    )
    server.send(lines)
    expect(await server.until('result')).toMatchObject({ state: 'succeeded' })
  })

  test('carries everything over polls where no WebSocket gets through, within 15 s', async () => {
    await prepare()
    server.faults.webSocketBlocked = true
    const startedMs = Date.now()
    startAgent()
    await server.until('hello')
    expect(Date.now() - startedMs).toBeLessThan(16_000)
    expect(server.sessions).toEqual([{ way: 'poll' }])
    const lines = offer('lines', { count: 50_000 })
    server.send(lines)
    const result = await server.until('result')
    expect(result.output.sha256).toBe(sha256(server.output(lines.commandId).stored))
  }, 30_000)

  test('never takes a stranger for its server', async () => {
    await prepare()
    const first = startAgent()
    await server.until('hello')
    await stop(first, 'SIGTERM')
    const identity = readFileSync(join(dir, 'state', 'identity.json'), 'utf8')
    server.faults.unsigned = true
    const before = server.frames.length
    const child = startAgent()
    let printed = ''
    child.stderr?.on('data', (data) => {
      printed += data
    })
    await expect.poll(() => printed, { timeout: 10_000 }).toContain('did not prove to be the server')
    expect(server.frames.length).toBe(before)
    expect(readFileSync(join(dir, 'state', 'identity.json'), 'utf8')).toBe(identity)
  })
})

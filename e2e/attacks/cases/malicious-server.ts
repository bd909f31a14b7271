import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startTestServer, type TestServer } from '@fleetupdate/agent/src/testing/test-server.ts'
import { writeExecutor } from '@fleetupdate/agent/src/testing/write-executor.ts'
import type { ServerFrame, ServerFrameOf } from '@fleetupdate/sdk/protocol'
import { repository } from '../../repository.ts'
import type { Attack } from '../attack.ts'

/** A real agent whose server lies. Bundles that are wrongly signed, rolled back or swapped have rows of their own. */
export const maliciousServerAttack: Attack = {
  name: 'malicious-server',
  title: 'a lying server against a real agent: unsigned, forged, replayed, oversized, outside the policy',
  required: '0 executed, each refused with a reason',
  async run(_target, size) {
    const machine = await startMachine()
    const wrong: string[] = []
    let tries = 0
    try {
      for (const [name, lie] of Object.entries(lies(machine))) {
        tries++
        const found = await withTime(lie(), 45_000).catch((error: unknown) => String(error))
        if (found !== undefined) wrong.push(`${name}: ${found}`)
        if (machine.executed() !== machine.honest) {
          wrong.push(`${name}: it was executed`)
          machine.honest = machine.executed()
        }
        if (size === 'smoke' && tries >= 12) break
      }
      const id = machine.next()
      // A server repeats what is not answered; the session may just be changing its way.
      const again = setInterval(() => machine.server.send(offer(id, 'mark')), 1_000)
      const done = machine.server.until('result', ({ commandId }) => commandId === id)
      await withTime(done, 60_000).catch(() => undefined)
      clearInterval(again)
      if (machine.executed() !== machine.honest + 1) wrong.push('the agent does nothing at all any more')
    } finally {
      await machine.stop()
    }
    const more = wrong.length === 0 ? '' : `: ${wrong.slice(0, 5).join('; ')}`
    return { passed: wrong.length === 0, reached: `${wrong.length} of ${tries} lies believed${more}` }
  },
}

interface Machine {
  readonly dir: string
  readonly server: TestServer
  /** Lines in the ledger: one for each execution. */
  executed(): number
  /** How many there must be. */
  honest: number
  log(): string
  /** The id of a new command. */
  next(): string
  stop(): Promise<void>
}

type Lie = () => Promise<string | undefined>

function lies(machine: Machine): Readonly<Record<string, Lie>> {
  const { server, dir } = machine
  const refusedAs = async (frame: ServerFrameOf<'offer'>, kind: string): Promise<string | undefined> => {
    server.send(frame)
    const reject = await server.until(
      'reject',
      ({ commandId, epoch }) => commandId === frame.commandId && epoch === frame.epoch,
    )
    if (reject.kind !== kind) return `refused as ${reject.kind}, not ${kind}`
    return reject.reason === '' ? 'refused without a reason' : undefined
  }
  /** The session ends, and the agent comes back by itself. */
  const ends = async (say: () => void): Promise<string | undefined> => {
    const before = server.sessions.length
    say()
    await waitFor(() => server.sessions.length > before)
    return undefined
  }
  const raw = (frame: object): void => server.send(frame as ServerFrame)
  const policy = join(dir, 'policy.yaml')
  return {
    'an unknown capability': () =>
      refusedAs(offer(machine.next(), 'mark', { plugin: 'none' }), 'unavailable'),
    'an unknown command': () => refusedAs(offer(machine.next(), 'nothing'), 'schema'),
    'a command of Object': () => refusedAs(offer(machine.next(), 'constructor'), 'schema'),
    'an input that does not fit': () =>
      refusedAs(offer(machine.next(), 'mark', { input: { x: 1 } }), 'schema'),
    'an offer that is too old': () =>
      refusedAs(
        offer(machine.next(), 'mark', { notAfter: new Date(Date.now() - 60_000).toISOString() }),
        'expired',
      ),
    'a command the owner forbids': async () => {
      writeFileSync(policy, 'commands: { demo: [other] }\n', { mode: 0o600 })
      const found = await refusedAs(offer(machine.next(), 'mark'), 'policy')
      rmSync(policy)
      return found
    },
    'a command while the kill switch is there': async () => {
      writeFileSync(join(dir, 'kill-switch'), '')
      const found = await refusedAs(offer(machine.next(), 'mark'), 'policy')
      rmSync(join(dir, 'kill-switch'))
      return found
    },
    'the same offer twice, and a lower epoch': async () => {
      const id = machine.next()
      server.send(offer(id, 'mark', { epoch: 2 }))
      await server.until('result', ({ commandId }) => commandId === id)
      machine.honest++
      server.send(offer(id, 'mark', { epoch: 2 }))
      return refusedAs(offer(id, 'mark', { epoch: 1 }), 'stale')
    },
    'an id that is a path': () => ends(() => raw({ ...offer('../../../etc/cron.d/x', 'mark') })),
    'an offer without its members': () => ends(() => raw({ type: 'offer', commandId: machine.next() })),
    'a frame that is no object': () => ends(() => raw([])),
    'a frame of 2 MiB': () => ends(() => raw({ type: 'ping', filler: 'x'.repeat(2 * 1024 * 1024) })),
    'a new key of low order': async () => {
      const before = identity(dir)
      server.send({ type: 'rekey', kid: 'k2', key: Buffer.alloc(32).toString('base64url') })
      await waitFor(() => machine.log().includes('No new key came about'))
      return identity(dir) === before ? undefined : 'its identity changed'
    },
    'a forged confirmation of a new key': async () => {
      const before = identity(dir)
      server.send({ type: 'rekey', kid: 'k9', confirmation: Buffer.alloc(32, 1).toString('base64url') })
      await server.until('rekey', ({ kid, key }) => kid === 'k9' && key === undefined)
      return identity(dir) === before ? undefined : 'its identity changed'
    },
    'frames made with another key': async () => {
      server.faults.unsigned = true
      server.drop()
      await waitFor(() => /first frame has a wrong MAC/.test(machine.log()))
      server.faults.unsigned = false
      const before = server.sessions.length
      await waitFor(() => server.sessions.length > before)
      return undefined
    },
    'answers that nobody signed, over polls': async () => {
      server.faults.unsigned = true
      server.faults.webSocketBlocked = true
      server.drop()
      // Its first answer is a refusal that nobody signed: the agent must not even take the boot value from it.
      await waitFor(
        () => /answer is not signed|refused the connection: restarted \(FLT_AUTH_BOOT\)/.test(machine.log()),
        40_000,
      )
      server.faults.unsigned = false
      server.faults.webSocketBlocked = false
      const before = server.sessions.length
      await waitFor(() => server.sessions.length > before, 40_000)
      return existsSync(join(dir, 'state', 'identity.json')) ? undefined : 'it dropped its identity'
    },
  }
}

async function startMachine(): Promise<Machine> {
  const dir = mkdtempSync(join(tmpdir(), 'fleet-victim-'))
  const psk = 'a-secret-for-tests-0123456789'
  const server = await startTestServer(psk)
  const ledger = join(dir, 'ledger')
  writeFileSync(ledger, '')
  // It counts as one that came with the agent: else each offer ends at the host's trust, before the checks that are attacked here.
  const program = join(dir, 'program')
  cpSync(join(repository, 'agent/dist'), program, { recursive: true })
  writeExecutor(join(program, 'executors'), {
    id: 'demo',
    contract: { commands: { mark: { input: { type: 'object', additionalProperties: false } }, other: {} } },
    module: `import { appendFileSync } from 'node:fs'
export default { contract, facts: {}, commands: { mark: () => appendFileSync(${JSON.stringify(ledger)}, 'x\\n'), other: () => undefined } }`,
  })
  const settings = {
    id: 'victim',
    server_url: server.url,
    psk,
    state_dir: join(dir, 'state'),
  }
  const lines = Object.entries(settings).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}`)
  writeFileSync(join(dir, 'config.yaml'), `agent:\n${lines.join('\n')}\n`, { mode: 0o600 })
  const { PATH = '' } = process.env
  const child: ChildProcess = spawn(process.execPath, [join(program, 'main.js')], {
    env: { PATH, AGENT_CONFIG: join(dir, 'config.yaml') },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr?.on('data', (part: Buffer) => {
    log += part
  })
  let count = 0
  const machine: Machine = {
    dir,
    server,
    honest: 0,
    executed: () => readFileSync(ledger, 'utf8').split('\n').length - 1,
    log: () => log,
    next: () => `01890a5d-ac96-774b-bcce-b302099a${String(++count).padStart(4, '0')}`,
    async stop() {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
      await server.close()
      rmSync(dir, { recursive: true, force: true })
    },
  }
  await waitFor(() => server.sessions.length > 0)
  return machine
}

function offer(
  commandId: string,
  command: string,
  more: Partial<ServerFrameOf<'offer'>> = {},
): ServerFrameOf<'offer'> {
  return {
    type: 'offer',
    ...{ commandId, command, epoch: 1, plugin: 'demo', input: {}, timeoutSeconds: 60, endless: false },
    notAfter: new Date(Date.now() + 60_000).toISOString(),
    expiresAt: new Date(Date.now() + 86_400_000).toISOString(),
    ...more,
  }
}

/** The key in use alone: what is only prepared does not count. */
function identity(dir: string): string {
  const { kid, rootKey } = JSON.parse(readFileSync(join(dir, 'state', 'identity.json'), 'utf8'))
  return `${kid} ${rootKey}`
}

async function waitFor(holds: () => boolean, withinMs = 30_000): Promise<void> {
  const until = performance.now() + withinMs
  while (!holds()) {
    if (performance.now() > until) throw new Error(`Nothing of it within ${withinMs / 1000} s.`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}

async function withTime<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), ms)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { chmodSync, cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { startTestServer, type TestServer } from '@fleetupdate/agent/src/testing/test-server.ts'
import { writeExecutor } from '@fleetupdate/agent/src/testing/write-executor.ts'
import type { Manifest } from '@fleetupdate/sdk'
import { type ArchiveFile, createPublisherKey, readTar, writeBundle, writeTar } from '@fleetupdate/sdk/bundle'
import type { ExecutorReport } from '@fleetupdate/sdk/protocol'
import { repository } from '../../repository.ts'
import type { Attack } from '../attack.ts'

const psk = 'a-secret-for-tests-0123456789'
const acme = createPublisherKey()
const stranger = createPublisherKey()
const ousted = createPublisherKey()
const id = 'acme-disk'

/** One thing the server tries, and the words with which the host must refuse it. */
interface Try {
  readonly what: string
  readonly bytes: Buffer
  readonly reason: RegExp
  /** What the server says it is; default: `acme-disk`, and the truth. */
  readonly unsignedAnswer?: true
  readonly wanted?: { readonly id?: string; readonly sha256?: string; readonly bytes?: number }
}

/** A server in the hands of an attacker, with the right keys of its agents, against one agent whose owner trusts one publisher. */
export const maliciousBundlesAttack: Attack = {
  name: 'malicious-bundles',
  title: 'a malicious server that delivers executors to an agent',
  required: '0 executed, each refused with a reason',
  async run() {
    const folder = mkdtempSync(join(tmpdir(), 'malicious-'))
    // The one place where the process of an executor may write; wherever else the module were loaded, it could write here too.
    const marker = `/tmp/attempt-executed-${randomBytes(8).toString('hex')}`
    const server = await startTestServer(psk)
    const agent = startAgent(folder, server)
    const wrong: string[] = []
    let refused = 0
    try {
      await server.until('hello')
      // First a sound one, which must run: else nothing below would mean anything.
      const sound = pack(marker, { counter: 50 })
      const report = await deliver(server, { what: 'a sound bundle', bytes: sound, reason: /./ })
      if (report?.trust !== 'signed' || !existsSync(marker))
        wrong.push(`the sound bundle did not run: ${report?.reason}`)
      rmSync(marker, { force: true })
      for (const one of tries(marker)) {
        server.faults.unsigned = one.unsignedAnswer ?? false
        const told = await deliver(server, one)
        server.faults.unsigned = false
        const isRefused = told?.health === 'failed' && one.reason.test(told.reason ?? '')
        if (isRefused) refused += 1
        else wrong.push(`${one.what}: ${told ? `${told.trust} (${told.reason})` : 'said nothing'}`)
        if (existsSync(marker)) wrong.push(`${one.what} was executed`)
        rmSync(marker, { force: true })
      }
      wrong.push(...(await overrides(server, marker)), ...(await outsidePolicy(server, sound, marker)))
      if (readdirSync(join(folder, 'kept/bundles')).length > 1)
        wrong.push('something was kept that was refused')
    } finally {
      agent.kill('SIGKILL')
      await server.close()
      rmSync(folder, { recursive: true, force: true })
      rmSync(marker, { force: true })
    }
    const more = wrong.length === 0 ? '' : `: ${wrong.join('; ')}`
    return {
      passed: wrong.length === 0,
      reached: `${refused} refused with a reason, ${wrong.length} wrong${more}`,
    }
  },
}

/** Has the agent want it, and waits for what it says about it. */
async function deliver(server: TestServer, { bytes, wanted = {} }: Try): Promise<ExecutorReport | undefined> {
  const sha256 = wanted.sha256 ?? createHash('sha256').update(bytes).digest('hex')
  server.bundles.set(sha256, bytes)
  const item = { id, version: '1.0.0', bytes: bytes.length, ...wanted, sha256 }
  const before = server.frames.length
  server.send({ type: 'executors', wanted: { items: [item], spreadSeconds: 0 } })
  const fits = (reports: readonly ExecutorReport[]): boolean =>
    reports.some((one) => one.id === item.id && (one.trust === 'signed' || one.health === 'failed'))
  const frame = await Promise.race([
    server.until('executors', (one) => server.frames.indexOf(one) >= before && fits(one.executors)),
    new Promise<undefined>((resolve) => setTimeout(resolve, 30_000)),
  ])
  const found = frame?.executors.find((one) => one.id === item.id)
  // The next one is compared with nothing.
  server.send({ type: 'executors', wanted: { items: [], spreadSeconds: 0 } })
  const after = server.frames.length
  await Promise.race([
    server.until(
      'executors',
      (one) =>
        server.frames.indexOf(one) >= after - 1 && !one.executors.some(({ id: other }) => other === item.id),
    ),
    new Promise((resolve) => setTimeout(resolve, 5000)),
  ])
  return found
}

/** What came with the agent stays, whoever signed something else of that name. */
async function overrides(server: TestServer, marker: string): Promise<readonly string[]> {
  const bytes = pack(marker, { counter: 60, manifest: { id: 'built-in' } })
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  server.bundles.set(sha256, bytes)
  const items = [{ id: 'built-in', version: '1.0.0', sha256, bytes: bytes.length }]
  server.send({ type: 'executors', wanted: { items, spreadSeconds: 0 } })
  // A sound one behind it: when that has been looked at, so has the other.
  await deliver(server, { what: '', bytes: pack(marker, { counter: 61, key: stranger }), reason: /./ })
  const reports = server.frames.filter((frame) => frame.type === 'executors').at(-1)
  const found =
    reports?.type === 'executors' ? reports.executors.find((one) => one.id === 'built-in') : undefined
  const isSame = found?.trust === 'built-in' && found.version === '1.2.3'
  return isSame && !existsSync(marker) ? [] : ['a built-in executor was replaced']
}

/** A command that the owner's policy does not name, of an executor that he lets run. */
async function outsidePolicy(server: TestServer, bytes: Buffer, marker: string): Promise<readonly string[]> {
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const before = server.frames.length
  const items = [{ id, version: '1.0.0', sha256, bytes: bytes.length }]
  server.send({ type: 'executors', wanted: { items, spreadSeconds: 0 } })
  await server.until(
    'executors',
    (one) =>
      server.frames.indexOf(one) >= before && one.executors.some((executor) => executor.trust === 'signed'),
  )
  rmSync(marker, { force: true })
  const commandId = '01890a5d-ac96-774b-bcce-b302099a8057'
  const soon = new Date(Date.now() + 60_000).toISOString()
  server.send({
    ...{ type: 'offer', commandId, epoch: 1, plugin: id, command: 'forbidden', input: {}, endless: false },
    ...{ timeoutSeconds: 60, notAfter: soon, expiresAt: soon },
  })
  const { kind, reason } = await server.until('reject', (one) => one.commandId === commandId)
  return kind === 'policy' && reason.includes('commands') ? [] : [`a forbidden command: ${kind} (${reason})`]
}

function tries(marker: string): readonly Try[] {
  const made = (more: Made): Buffer => pack(marker, { counter: 51, ...more })
  const sound = made({})
  const entries = (change: (files: ArchiveFile[]) => ArchiveFile[]): Buffer =>
    gzipSync(writeTar(change([...readTar(gunzipSync(sound))])))
  const privileges = [{ id: 'x', reason: 'r', program: '/usr/bin/id', args: [] }]
  const module = (files: readonly ArchiveFile[]): number =>
    files.findIndex(({ path }) => path === 'dist/executor.js')
  return [
    { what: 'unsigned', bytes: entries((files) => files.slice(1)), reason: /bundle\.json is not first/ },
    {
      what: 'an envelope without a signature',
      bytes: entries(([, ...files]) => [{ path: 'bundle.json', content: Buffer.from('{}') }, ...files]),
      reason: /no envelope/,
    },
    { what: "a stranger's signature", bytes: made({ key: stranger }), reason: /not in the trust file/ },
    { what: 'a revoked key', bytes: made({ key: ousted }), reason: /was revoked/ },
    {
      what: "a name that is not the publisher's",
      bytes: made({ manifest: { id: 'other-disk' } }),
      wanted: { id: 'other-disk' },
      reason: /not trusted with the name/,
    },
    {
      what: 'a bundle of another plugin under this name',
      bytes: made({ manifest: { id: 'acme-other' } }),
      reason: /is of "acme-other"/,
    },
    { what: 'rollback', bytes: made({ counter: 49 }), reason: /older \(49\)/ },
    { what: 'an expired bundle', bytes: made({ expiresAt: '2020-01-01T00:00:00.000Z' }), reason: /expired/ },
    {
      what: 'a swapped file',
      bytes: entries((files) =>
        files.map((file, at) => (at === module(files) ? { ...file, content: Buffer.from('1') } : file)),
      ),
      reason: /its content is another/,
    },
    {
      what: 'a file that was added',
      bytes: entries((files) => [...files, { path: 'dist/more.js', content: Buffer.from('1') }]),
      reason: /was added/,
    },
    {
      what: 'a file that is missing',
      bytes: entries((files) => files.filter(({ path }) => path !== 'dist/executor.js')),
      reason: /missing/,
    },
    { what: '../', bytes: header(sound, 0, '../../../evil.js'), reason: /leaves the folder/ },
    { what: 'an absolute path', bytes: header(sound, 0, '/etc/cron.d/evil'), reason: /is absolute/ },
    { what: 'a hidden file', bytes: header(sound, 0, '.bashrc'), reason: /characters that are not allowed/ },
    { what: 'a symbolic link', bytes: header(sound, 156, '2'), reason: /symbolic link/ },
    { what: 'a hard link', bytes: header(sound, 156, '1'), reason: /hard link/ },
    { what: 'a device', bytes: header(sound, 156, '3'), reason: /device/ },
    { what: 'a pipe', bytes: header(sound, 156, '6'), reason: /pipe/ },
    { what: 'a name twice', bytes: header(sound, 0, 'dist/executor.js'), reason: /twice/ },
    { what: 'a name twice in another case', bytes: header(sound, 0, 'DIST/Executor.js'), reason: /twice/ },
    { what: 'a set-uid file', bytes: header(sound, 100, '0004755'), reason: /says more than name and size/ },
    { what: 'a bomb', bytes: gzipSync(Buffer.alloc(200 * 1024 * 1024)), reason: /unpacks to more than/ },
    { what: 'a second gzip stream', bytes: Buffer.concat([sound, sound]), reason: /behind its end/ },
    {
      what: 'a cut file',
      bytes: sound.subarray(0, sound.length - 20),
      reason: /cut off|checksum|unexpected end/,
    },
    { what: 'no archive at all', bytes: randomBytes(5000), reason: /not gzip/ },
    {
      what: 'root without a grant',
      bytes: made({ manifest: { privileges } }),
      reason: /not trusted with privileges/,
    },
    {
      what: 'the network without a grant',
      bytes: made({ manifest: { network: true } }),
      reason: /not trusted with the network/,
    },
    {
      what: 'another file than was promised',
      bytes: made({ counter: 52 }),
      wanted: { sha256: 'a'.repeat(64) },
      reason: /not what was promised/,
    },
    { what: 'a file of 10 GB', bytes: sound, wanted: { bytes: 10_000_000_000 }, reason: /10000000000 bytes/ },
    {
      what: 'an answer that is not signed by the server',
      bytes: made({ counter: 53 }),
      unsignedAnswer: true,
      reason: /not signed by the server/,
    },
  ]
}

interface Made {
  readonly counter?: number
  readonly key?: typeof acme
  readonly expiresAt?: string
  readonly manifest?: Partial<Manifest>
}

/** A bundle whose module leaves a mark when it is loaded. */
function pack(
  marker: string,
  { counter = 50, key = acme, expiresAt = '2036-01-01T00:00:00.000Z', manifest = {} }: Made,
): Buffer {
  const whole: Manifest = { id, sdk: '1', executor: './dist/executor.js', ...manifest }
  const version = '1.0.0'
  const contract = { id: whole.id, facts: {}, facets: {}, commands: { allowed: {}, forbidden: {} } }
  const module = `import { writeFileSync } from 'node:fs'
writeFileSync(${JSON.stringify(marker)}, '')
export default { contract: ${JSON.stringify(contract)}, facts: {}, commands: { allowed() {}, forbidden() {} } }
// ${counter}`
  const files = [
    { path: 'package.json', content: Buffer.from(JSON.stringify({ version, fleetupdate: whole })) },
    { path: 'dist/executor.js', content: Buffer.from(module) },
  ]
  return writeBundle({ version, counter, expiresAt, manifest: whole, files }, key)
}

/** Overwrites a field of the last entry's header, and corrects its checksum. */
function header(bundle: Buffer, at: number, text: string): Buffer {
  const tar = gunzipSync(bundle)
  const start = tar.lastIndexOf('package.json\0')
  tar.fill(0, start + at, start + at + (at === 0 ? 100 : 0))
  tar.write(text, start + at, 'latin1')
  tar.write('        ', start + 148)
  const sum = tar.subarray(start, start + 512).reduce((total, byte) => total + byte, 0)
  tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, start + 148)
  return gzipSync(tar)
}

function startAgent(folder: string, server: TestServer): ChildProcess {
  const lines = [
    'agent:',
    '  id: victim',
    `  server_url: ${JSON.stringify(server.url)}`,
    `  psk: ${psk}`,
    `  state_dir: ${JSON.stringify(folder)}`,
    '',
  ]
  writeFileSync(join(folder, 'config.yaml'), lines.join('\n'))
  const publisher = (name: string, key: string, more = ''): string =>
    `  - name: ${name}\n    key: ${key}\n    plugins: ['acme-*', built-in]\n${more}`
  const trust = `publishers:\n${publisher('Acme', acme.publicKey)}${publisher('Ousted', ousted.publicKey, '    revoked: true\n')}`
  writeFileSync(join(folder, 'trust.yaml'), trust, { mode: 0o600 })
  writeFileSync(
    join(folder, 'policy.yaml'),
    `commands:\n  ${id}: [allowed]\n  built-in: all\n  other-disk: all\n  acme-other: all\n`,
    { mode: 0o600 },
  )
  // Where the processes of executors, which are nobody's, can read it.
  const program = join(folder, 'program')
  chmodSync(folder, 0o755)
  cpSync(join(repository, 'agent/dist'), program, { recursive: true })
  writeExecutor(join(program, 'executors'), {
    id: 'built-in',
    module: 'export default { contract, facts: {}, commands: {} }',
  })
  return spawn(process.execPath, [join(program, 'main.js')], {
    env: { PATH: process.env.PATH ?? '', AGENT_CONFIG: join(folder, 'config.yaml') },
    stdio: 'ignore',
  })
}

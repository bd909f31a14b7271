import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ExecutorView, Manifest } from '@fleetupdate/sdk'
import { buildPlugin } from '@fleetupdate/sdk/build'
import { createPublisherKey, packFolder } from '@fleetupdate/sdk/bundle'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createOutsideFolder } from './outside-folder.ts'

const contract = `
import { defineContract, Type } from '@fleetupdate/sdk'
export const disk = defineContract('acme-disk', {
  facts: { release: Type.String() },
  commands: { greet: { input: Type.Object({ name: Type.String({ maxLength: 20 }) }), result: Type.Object({ release: Type.String() }) } },
})`
const executor = `
import { defineExecutor } from '@fleetupdate/sdk/executor'
import { disk } from './contract'
import { release } from './release'
export default defineExecutor(disk, {
  facts: { release: () => release },
  commands: {
    async greet({ name }, { run, write }) {
      write('hello ' + name + ' from ' + process.pid + '\\n')
      await run('echo', ['told', name])
      return { release }
    },
  },
})`
const server = `
import { definePlugin } from '@fleetupdate/sdk'
import { disk } from './contract'
export default definePlugin(disk)`

const acme = createPublisherKey()
const stranger = createPublisherKey()
const trust = `publishers:\n  - name: Acme\n    key: ${acme.publicKey}\n    plugins: ['acme-*']\n`
const outside = createOutsideFolder()
const names = ['vm-01', 'vm-02']
let fleet: TestFleet

const stateOf = (id: string): string => join(fleet.dataDir, 'agents', id)
const executorOf = async (id: string): Promise<ExecutorView | undefined> =>
  (await fleet.client.agent(id))?.executors.find((one) => one.id === 'acme-disk')
const onBoth = (what: string, fits: (one: ExecutorView | undefined) => boolean) =>
  fleet.client.until(what, async () => (await Promise.all(names.map(executorOf))).every(fits), 40_000)

interface Made {
  readonly counter: number
  readonly key?: typeof acme
  readonly manifest?: Partial<Manifest>
}

/** Builds release 1.0.<counter> and packs it. */
async function pack({ counter, key = acme, manifest = {} }: Made): Promise<Buffer> {
  const folder = join(outside.path, 'acme-disk')
  mkdirSync(join(folder, 'src'), { recursive: true })
  const whole: Manifest = {
    ...{ id: 'acme-disk', sdk: '1', server: './dist/server.js', executor: './dist/executor.js' },
    programs: ['echo'],
    ...manifest,
  }
  const version = `1.0.${counter}`
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'd', version, type: 'module', fleetupdate: whole }),
  )
  writeFileSync(join(folder, 'src/contract.ts'), contract)
  writeFileSync(join(folder, 'src/release.ts'), `export const release = ${JSON.stringify(version)}`)
  writeFileSync(join(folder, 'src/executor.ts'), executor)
  writeFileSync(join(folder, 'src/server.ts'), server)
  await buildPlugin(folder)
  const parts = { folder, manifest: whole, version, counter, expiresAt: '2036-01-01T00:00:00.000Z', key }
  return (await packFolder(parts)).bytes
}

async function install(bytes: Buffer): Promise<void> {
  const { client } = fleet
  const offered = await fetch(`${client.url}/api/admin/plugins`, {
    method: 'POST',
    headers: {
      'content-type': 'application/vnd.fleetupdate.bundle',
      authorization: `Bearer ${client.token}`,
    },
    body: new Uint8Array(bytes),
  })
  const { id, sha256, ...rest } = (await offered.json()) as { id: string; sha256: string }
  expect(offered.status, JSON.stringify(rest)).toBe(200)
  const { status, body } = await client.request('POST', `/api/admin/plugins/${id}/confirm`, { sha256 })
  expect({ status, body }).toMatchObject({ status: 200, body: { state: 'active' } })
}

const remove = () => fleet.client.request('DELETE', '/api/admin/plugins/acme-disk')

async function greet(id: string) {
  const command = await fleet.client.submit(id, 'acme-disk.greet', { name: 'Ada' })
  const ended = await fleet.client.finished(command.id)
  const output = await fleet.client.request<string>('GET', `/api/commands/${command.id}/output`)
  return { ...ended, text: output.body }
}

beforeAll(async () => {
  fleet = await startTestFleet({ agents: names, trust, env: {} })
  // The folder in which the server unpacks plugins is no folder of these agents.
  for (const id of names) {
    const config = join(stateOf(id), 'config.yaml')
    const lines = readFileSync(config, 'utf8').split('\n')
    writeFileSync(config, lines.filter((line) => !line.includes('executors:')).join('\n'))
    await fleet.agents.get(id)?.kill('SIGTERM')
    await fleet.agents.get(id)?.restart()
  }
})
afterAll(async () => {
  await fleet?.stop()
  outside.remove()
})

test('a signed capability reaches two running agents, is used, upgraded, disabled, enabled and removed', async () => {
  const { client } = fleet
  await install(await pack({ counter: 1 }))
  await onBoth('the signed executor', (one) => one?.trust === 'signed' && one.health === 'ok')
  expect(await executorOf('vm-01')).toMatchObject({ version: '1.0.1', publisher: 'Acme' })
  for (const id of names) {
    await client.until(
      'its fact',
      async () => (await client.agent(id))?.facts['acme-disk']?.release === '1.0.1',
    )
    const greeted = await greet(id)
    expect(greeted).toMatchObject({ state: 'succeeded', result: { release: '1.0.1' } })
    expect(greeted.text).toContain('hello Ada from')
    expect(greeted.text).toContain('$ echo told Ada\ntold Ada\n')
    // Not in the agent, nor in the runner: in a process of its own.
    expect(greeted.text).not.toContain(`from ${fleet.agents.get(id)?.pid}\n`)
  }
  const wrong = await client.request('POST', '/api/agents/vm-01/acme-disk/greet', { name: 'x'.repeat(21) })
  expect(wrong.status).toBe(400)

  const began = Date.now()
  await install(await pack({ counter: 2 }))
  await onBoth('the upgrade', (one) => one?.version === '1.0.2' && one.health === 'ok')
  expect(Date.now() - began).toBeLessThan(30_000)
  expect(await greet('vm-02')).toMatchObject({ result: { release: '1.0.2' } })
  // Nothing runs any more that needs the first.
  await client.until(
    'the sweep',
    async () => readdirSync(join(stateOf('vm-01'), 'kept/bundles')).length === 1,
  )

  // It is there after a restart, before anything is fetched.
  await fleet.agents.get('vm-01')?.kill('SIGKILL')
  await fleet.agents.get('vm-01')?.restart()
  await client.until('the agent', async () => (await client.agent('vm-01'))?.status === 'online')
  expect(await greet('vm-01')).toMatchObject({ state: 'succeeded', result: { release: '1.0.2' } })

  await client.request('POST', '/api/admin/plugins/acme-disk/disable')
  await onBoth('the agents to stop using it', (one) => one === undefined)
  await client.request('POST', '/api/admin/plugins/acme-disk/enable')
  await onBoth('the executor again', (one) => one?.trust === 'signed')
  expect((await remove()).status).toBe(204)
  await onBoth('the agents to forget it', (one) => one === undefined)
})

test('each host decides for itself, says why, and takes its trust back at once', async () => {
  const { client } = fleet
  const own = join(stateOf('vm-02'), 'trust.yaml')
  writeFileSync(own, 'publishers: []\n')
  await install(await pack({ counter: 3 }))
  await client.until('the one that trusts', async () => (await executorOf('vm-01'))?.trust === 'signed')
  const refused = await client.until('the one that does not', async () => {
    const one = await executorOf('vm-02')
    return one?.trust === 'refused' && one
  })
  expect(refused).toMatchObject({
    health: 'failed',
    reason: expect.stringContaining('not in the trust file'),
  })
  const command = await client.submit('vm-02', 'acme-disk.greet', { name: 'Ada' })
  expect(await client.finished(command.id)).toMatchObject({
    state: 'rejected',
    reason: expect.stringContaining('not in the trust file'),
  })

  writeFileSync(own, trust)
  await client.until('trust to be noticed', async () => (await executorOf('vm-02'))?.trust === 'signed')
  writeFileSync(own, trust.replace(/\n$/, '\n    revoked: true\n'))
  const revoked = await client.until('the revocation', async () => {
    const one = await executorOf('vm-02')
    return one?.trust === 'refused' && one
  })
  expect(revoked.reason).toContain('was revoked')
  writeFileSync(own, trust)
  await client.until('trust again', async () => (await executorOf('vm-02'))?.trust === 'signed')

  const kept = join(stateOf('vm-02'), 'kept/bundles')
  const [hash = ''] = readdirSync(kept)
  appendFileSync(join(kept, hash, 'dist/executor.js'), '\n')
  // Looked at again when the owner's files change, and at each start.
  writeFileSync(own, `${trust}# looked at\n`)
  const modified = await client.until('the change to be found', async () => {
    const one = await executorOf('vm-02')
    return one?.trust === 'modified' && one
  })
  expect(modified).toMatchObject({ health: 'failed', reason: expect.stringContaining('dist/executor.js') })
  expect((await remove()).status).toBe(204)
  await onBoth('the agents to forget it', (one) => one === undefined)
})

test.each<[string, Made, string]>([
  ['a stranger', { counter: 10, key: stranger }, 'not in the trust file'],
  ['a step back behind the version seen', { counter: 2 }, 'it is older (2)'],
  [
    'root without a grant',
    { counter: 11, manifest: { privileges: [{ id: 'x', reason: 'r', program: '/bin/true', args: [] }] } },
    'not trusted with privileges',
  ],
  [
    'the network without a grant',
    { counter: 12, manifest: { network: true } },
    'not trusted with the network',
  ],
])('%s is refused on the host with its reason, and nothing of it runs', async (_what, made, reason) => {
  const { client } = fleet
  await install(await pack(made))
  await onBoth('the refusal', (one) => one?.trust === 'refused')
  expect((await executorOf('vm-01'))?.reason).toContain(reason)
  expect((await client.agent('vm-01'))?.facts['acme-disk']?.release).not.toBe(`1.0.${made.counter}`)
  expect(
    existsSync(join(stateOf('vm-01'), 'kept/bundles')) && readdirSync(join(stateOf('vm-01'), 'kept/bundles')),
  ).toEqual([])
  expect((await remove()).status).toBe(204)
  await onBoth('the agents to forget it', (one) => one === undefined)
})

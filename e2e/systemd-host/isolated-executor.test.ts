import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ExecutorView, Manifest } from '@fleetupdate/sdk'
import { createPublisherKey, writeBundle } from '@fleetupdate/sdk/bundle'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AptRoot, aptRootProblem, createAptRoot } from '../apt-root/create-apt-root.ts'
import { type BootedHost, bootProblem, bootRoot } from './boot-root.ts'
import { installAsUser } from './install-as-user.ts'

const problem = aptRootProblem() ?? bootProblem()
if (problem !== undefined) console.warn(`Skipped: executors of strangers on a booted host. ${problem}`)

const acme = createPublisherKey()
const main = '/opt/orchestrator/agent/current/main.js'
const privileges = [{ id: 'who', reason: 'to show who it is', program: '/usr/bin/id', args: ['-u'] }]

/** What an executor finds out about where it is. */
const module = (id: string): string => `
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
const attempt = (work) => { try { return String(work()) } catch (error) { return error.code ?? error.message } }
const dial = (host) => new Promise((resolve) => {
  const socket = connect({ host, port: 22 })
  socket.on('connect', () => resolve('connected')); socket.on('error', (error) => resolve(error.code))
  setTimeout(() => resolve('silence'), 1000)
})
const contract = ${JSON.stringify({ id, facts: { where: {} }, facets: {}, commands: { root: {}, other: {}, hang: {} } })}
export default { contract,
  facts: { where: async () => ({
    uid: process.getuid(),
    home: attempt(() => readdirSync('/home').length + readdirSync('/root').length),
    write: attempt(() => writeFileSync('/var/lib/x', '')),
    shadow: attempt(() => readFileSync('/etc/shadow')),
    agent: attempt(() => readdirSync('/var/lib/orchestrator-agent')),
    trust: attempt(() => readFileSync('/etc/orchestrator-agent/trust.yaml')),
    declared: attempt(() => readFileSync('/srv/declared', 'utf8')),
    undeclared: attempt(() => readFileSync('/srv/undeclared', 'utf8')),
    processes: attempt(() => readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).length),
    caps: attempt(() => /CapEff:\\s*(\\S+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]),
    network: await dial('127.0.0.1'),
  }) },
  commands: {
    root: async ({}, { run }) => (await run('/usr/bin/id', ['-u'], { output: 'capture' })).stdout.trim(),
    other: async ({}, { run }) => (await run('/usr/bin/id', ['-g'], { output: 'capture' })).stdout.trim(),
    hang() { for (;;) {} },
  } }`

function pack(id: string, counter: number, more: Partial<Manifest>): Buffer {
  const manifest: Manifest = { id, sdk: '1', server: './server.js', executor: './executor.js', ...more }
  const version = `1.0.${counter}`
  const contract = `{ id: '${id}', facts: { where: {} }, facets: {}, commands: { root: {}, other: {}, hang: {} } }`
  const files = [
    {
      path: 'package.json',
      content: Buffer.from(JSON.stringify({ version, type: 'module', fleetupdate: manifest })),
    },
    { path: 'executor.js', content: Buffer.from(module(id)) },
    { path: 'server.js', content: Buffer.from(`export default { contract: ${contract}, migrations: [] }`) },
  ]
  return writeBundle({ version, counter, expiresAt: '2036-01-01T00:00:00.000Z', manifest, files }, acme)
}

describe.skipIf(problem !== undefined)('an executor of a stranger on a host with systemd', () => {
  let root: AptRoot
  let host: BootedHost
  let fleet: TestFleet

  beforeAll(async () => {
    root = await createAptRoot({ flavour: 'systemd' })
    fleet = await startTestFleet({ agents: [] })
    await installAsUser(root, { id: 'plain', url: fleet.url })
    for (const name of ['declared', 'undeclared']) writeFileSync(join(root.directory, 'srv', name), name)
    host = await bootRoot(root)
    host.run(['systemctl', 'start', 'orchestrator-helper.socket', 'orchestrator-agent'])
    await fleet.client.until(
      'the agent',
      async () => (await fleet.client.agent('plain'))?.status === 'online',
    )
  })
  afterAll(async () => {
    await host?.powerOff()
    await fleet?.stop()
    await root?.dispose()
  })

  const install = async (bytes: Buffer): Promise<void> => {
    const { client } = fleet
    const offered = await fetch(`${client.url}/api/admin/plugins`, {
      method: 'POST',
      headers: {
        'content-type': 'application/vnd.fleetupdate.bundle',
        authorization: `Bearer ${client.token}`,
      },
      body: new Uint8Array(bytes),
    })
    const { id, sha256 } = (await offered.json()) as { id: string; sha256: string }
    const { body } = await client.request('POST', `/api/admin/plugins/${id}/confirm`, { sha256 })
    expect(body).toMatchObject({ state: 'active' })
  }
  const executor = (id: string, fits: (one: ExecutorView) => boolean) =>
    fleet.client.until(
      `the executor ${id}`,
      async () => {
        const found = (await fleet.client.agent('plain'))?.executors.find((one) => one.id === id)
        return found && fits(found) && found
      },
      60_000,
    )
  const units = (): readonly string[] => {
    const list = ['systemctl', 'list-units', '--plain', '--no-legend', 'fleetupdate-executor-acme-look-*']
    return host
      .run(list)
      .stdout.split('\n')
      .flatMap((line) => line.split(' ')[0] || [])
  }
  const trust = (...args: string[]) => host.run([main, 'trust', ...args])
  const run = async (command: string, options: object = {}) => {
    const { id } = await fleet.client.submit('plain', command, {}, options)
    return fleet.client.finished(id, 90_000)
  }

  test('is trusted by root alone, with a command', async () => {
    await install(pack('acme-look', 1, { paths: ['/srv/declared'] }))
    expect(await executor('acme-look', (one) => one.trust === 'refused')).toMatchObject({
      reason: expect.stringContaining('not in the trust file'),
    })
    const asUser = host.run([
      'setpriv',
      '--reuid=orchestrator',
      '--regid=orchestrator',
      '--init-groups',
      '--',
      main,
      'trust',
      'add',
      'Acme',
      acme.publicKey,
      '--plugins',
      'acme-*',
    ])
    expect(asUser.exitCode).not.toBe(0)
    expect(asUser.stderr).toContain('only root')
    const added = trust('add', 'Acme', acme.publicKey, '--plugins', 'acme-*')
    expect(added, JSON.stringify(added)).toMatchObject({ exitCode: 0 })
    expect(trust('list').stdout).toContain(`trusted  Acme  ${acme.publicKey}  acme-*`)
    await executor('acme-look', (one) => one.trust === 'signed' && one.health === 'ok')
    const kept = host.run([
      'stat',
      '-c',
      '%U %a',
      '/var/lib/orchestrator-helper/bundles',
      '/var/lib/orchestrator-helper/counters.json',
    ])
    expect(kept.stdout).toBe('root 755\nroot 644\n')
  })

  test('sees what it declared and next to nothing else, as a user of its own', async () => {
    const where = await fleet.client.until('its fact', async () => {
      const fact = (await fleet.client.agent('plain'))?.facts['acme-look']?.where
      return fact as Record<string, unknown> | undefined
    })
    expect(where).toMatchObject({
      uid: expect.any(Number),
      write: expect.stringMatching(/EROFS|ENOENT|EACCES/),
      shadow: expect.stringMatching(/ENOENT|EACCES/),
      agent: expect.stringMatching(/ENOENT|EACCES/),
      trust: expect.stringMatching(/ENOENT|EACCES/),
      declared: 'declared',
      undeclared: 'ENOENT',
      home: expect.stringMatching(/^0$|EACCES|ENOENT/),
      caps: '0000000000000000',
      network: expect.stringMatching(/EAFNOSUPPORT|ENETUNREACH|EPERM|ECONNREFUSED/),
    })
    expect(where.uid).toBeGreaterThan(60_000)
    const [, uid] = /^orchestrator:x:(\d+)/m.exec(host.run(['cat', '/etc/passwd']).stdout) ?? []
    expect(where.uid).not.toBe(Number(uid))
  })

  test('has a sandbox that systemd calls safe, is ended with all it started, and leaves no unit behind', async () => {
    const { id } = await fleet.client.submit('plain', 'acme-look.hang', {}, { timeoutSeconds: 8 })
    // A unit that observes a fact is gone again before it is looked at; that of the command stays.
    const exposure = await fleet.client.until('what systemd says about its unit', async () => {
      for (const unit of units()) {
        const { stdout } = host.run(['systemd-analyze', 'security', '--no-pager', unit])
        const [, level] = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout) ?? []
        if (level !== undefined) return Number(level)
      }
      return undefined
    })
    expect(exposure).toBeLessThanOrEqual(0.5)
    expect(await fleet.client.finished(id, 60_000)).toMatchObject({ state: 'timed_out' })
    await fleet.client.until('no unit', async () => units().length === 0, 30_000)
    expect((await fleet.client.agent('plain'))?.status).toBe('online')
  })

  test('becomes root only where its host grants that, and only with the arguments it declared', async () => {
    await install(pack('acme-root', 1, { privileges }))
    expect(await executor('acme-root', (one) => one.trust === 'refused')).toMatchObject({
      reason: expect.stringContaining('not trusted with privileges'),
    })
    trust('revoke', 'Acme')
    await executor('acme-look', (one) => one.trust === 'refused' && (one.reason ?? '').includes('revoked'))
    const file = join(root.directory, 'etc/orchestrator-agent/trust.yaml')
    writeFileSync(file, '')
    trust('add', 'Acme', acme.publicKey, '--plugins', 'acme-*', '--programs', '/usr/bin/id')
    await executor('acme-root', (one) => one.trust === 'signed' && one.health === 'ok')
    expect(await run('acme-root.root')).toMatchObject({ state: 'succeeded', result: '0' })
    expect(await run('acme-root.other')).toMatchObject({
      state: 'failed',
      reason: expect.stringContaining('may not start'),
    })
    await executor('acme-look', (one) => one.trust === 'signed' && one.health === 'ok')
    // The other one declares no privilege, so that it has none, whatever it asks.
    expect(await run('acme-look.root')).toMatchObject({
      state: 'failed',
      reason: expect.stringContaining('may not start'),
    })
  })
})

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { testExecutor } from '@fleetupdate/sdk/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import executor from './index.ts'

const hash = 'a'.repeat(64)
const outcome = {
  id: hash,
  from: '1.0',
  to: '2.0',
  result: 'rolled-back',
  at: '2026-01-01T00:00:00.000Z',
  reason: 'it fell over',
}
let server: Server
let asked: string[]
let offered: string

beforeEach(async () => {
  asked = []
  offered = JSON.stringify({
    version: '2.0',
    counter: 12,
    archive: { name: `agent-${hash}.tar.gz`, sha256: hash },
  })
  server = createServer((request, response) => {
    asked.push(request.url ?? '')
    response.end(offered)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
})
afterEach(() => server.close())

/** An installed agent of this version; each call is another welcome, so that the server is asked anew. */
let welcomes = 0
const machine = (version: string, more: Readonly<Record<string, string>> = {}) => {
  const serverUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    '/run/systemd/system': '',
    '/opt/orchestrator/agent/current/agent-updater': '',
    '/opt/orchestrator/agent/current/VERSION': `${version}\n`,
    '/opt/orchestrator/agent/current/release.json': '{ "counter": 11 }',
    '/var/lib/orchestrator-agent/checked-in.json': JSON.stringify({ serverUrl, at: String(++welcomes) }),
    ...more,
  }
}

const previous = (version: string) => ({
  '/opt/orchestrator/agent/previous/VERSION': `${version}\n`,
  '/opt/orchestrator/agent/previous/release.json': JSON.stringify({
    counter: 10,
    archive: { name: `agent-${hash}.tar.gz`, sha256: hash },
  }),
})

describe('the release of a machine', () => {
  test('is behind where the server hands out another one that is not older', async () => {
    const { facts, problems } = await testExecutor(executor, { files: machine('1.0') })
    expect(problems).toEqual([])
    expect(facts.release).toEqual({
      installed: '1.0',
      offered: '2.0',
      newer: true,
      hindrance: null,
      before: null,
      last: null,
    })
    expect(asked).toEqual(['/install/release.json'])
  })

  test.each([
    ['the same', '2.0', 12],
    ['an older one', '1.0', 10],
  ])('is not behind where the server hands out %s', async (_what, installed, counter) => {
    offered = offered.replace('12', String(counter))
    const { facts } = await testExecutor(executor, { files: machine(installed) })
    expect(facts.release).toMatchObject({ newer: false })
  })

  test.each([
    ['0.9', '0.9'],
    ['1.0', null],
  ])('can go back where %s ran before: %s', async (version, before) => {
    const { facts, problems } = await testExecutor(executor, { files: machine('1.0', previous(version)) })
    expect(problems).toEqual([])
    expect(facts.release).toMatchObject({ before })
  })

  test('tells how the last update ended', async () => {
    const files = machine('1.0', {
      '/var/lib/orchestrator-helper/update-outcome.json': JSON.stringify(outcome),
    })
    const { facts } = await testExecutor(executor, { files })
    const { id, ...last } = outcome
    expect(facts.release).toMatchObject({ last })
  })

  test('cannot be told to be behind where nothing can be asked, and says why it cannot update itself', async () => {
    offered = '<html>a proxy</html>'
    expect((await testExecutor(executor, { files: machine('1.0') })).facts.release).toMatchObject({
      offered: null,
      newer: null,
      hindrance: null,
    })
    const { facts } = await testExecutor(executor, { files: {} })
    expect(facts.release).toMatchObject({
      hindrance: expect.stringContaining('not installed by the installer'),
    })
  })

  test.skipIf(!existsSync('/usr/bin/openssl'))(
    'is asked for over TLS by the authority that the agent trusts, also below a path',
    async () => {
      const dir = mkdtempSync(join(tmpdir(), 'offer-'))
      const [keyFile, certFile] = [join(dir, 'key'), join(dir, 'cert')]
      const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile]
      const subject = ['-subj', '/CN=own', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '1']
      execFileSync('openssl', ['req', '-x509', ...key, ...subject, '-out', certFile], { stdio: 'pipe' })
      const ca = readFileSync(certFile, 'utf8')
      const secure = createTlsServer({ key: readFileSync(keyFile), cert: ca }, (request, response) => {
        asked.push(request.url ?? '')
        response.end(offered)
      })
      await new Promise<void>((done) => secure.listen(0, '127.0.0.1', done))
      const serverUrl = `https://127.0.0.1:${(secure.address() as AddressInfo).port}/fleet`
      const at = (more: object) => ({
        '/var/lib/orchestrator-agent/checked-in.json': JSON.stringify({
          ...{ serverUrl, at: String(++welcomes) },
          ...more,
        }),
      })
      const offer = async (more: object) =>
        (await testExecutor(executor, { files: machine('1.0', at(more)) })).facts.release
      try {
        expect(await offer({})).toMatchObject({ offered: null, hindrance: null })
        expect(await offer({ ca })).toMatchObject({ offered: '2.0', newer: true })
        expect(asked).toEqual(['/fleet/install/release.json'])
      } finally {
        secure.close()
        rmSync(dir, { recursive: true })
      }
    },
  )

  test('is asked for once a welcome, not once a round', async () => {
    const files = machine('1.0')
    for (let round = 0; round < 3; round++) await testExecutor(executor, { files })
    expect(asked).toHaveLength(1)
  })
})

describe('the command', () => {
  test('does nothing where the release runs already', async () => {
    const { results, problems } = await testExecutor(executor, {
      files: machine('2.0'),
      commands: { install: { input: { version: '2.0' } } },
    })
    expect(problems).toEqual([])
    expect(results.install).toEqual({ from: '2.0', to: '2.0' })
  })

  test('goes back by the unit of the release that ran before', async () => {
    const files = machine('2.0', {
      ...previous('1.0'),
      '/var/lib/orchestrator-helper/update-outcome.json': JSON.stringify({
        ...outcome,
        ...{ from: '2.0', to: '1.0', result: 'updated' },
      }),
    })
    const { results, problems, output } = await testExecutor(executor, {
      files,
      transcripts: [
        { program: '/usr/bin/systemctl', args: ['start', `orchestrator-agent-update@${hash}.service`] },
      ],
      commands: { back: { input: { from: '2.0' } } },
    })
    expect(problems).toEqual([])
    expect(output).toContain('Trying 1.0; 2.0 comes back')
    expect(results.back).toEqual({ from: '2.0', to: '1.0' })
  })

  test('stays where another version runs than the one to leave', async () => {
    const { results, problems } = await testExecutor(executor, {
      files: machine('3.0', previous('2.0')),
      commands: { back: { input: { from: '2.0' } } },
    })
    expect(problems).toEqual([])
    expect(results.back).toEqual({ from: '3.0', to: '3.0' })
  })

  test('cannot go back where nothing ran before', async () => {
    const { problems } = await testExecutor(executor, {
      files: machine('2.0'),
      commands: { back: { input: {} } },
    })
    expect(problems.join()).toContain('No version stands beside 2.0')
  })

  test.each([
    [
      'the server hands out another version by now',
      { version: '1.5' },
      () => machine('1.0'),
      'hands out 2.0 by now',
    ],
    ['the agent came from a checkout', {}, () => ({}), 'not installed by the installer'],
  ])('fails where %s', async (_what, input, files, reason) => {
    const { problems } = await testExecutor(executor, { files: files(), commands: { install: { input } } })
    expect(problems.join()).toContain(reason)
  })
})

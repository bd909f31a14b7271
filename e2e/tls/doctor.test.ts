import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findPrograms } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runNode } from '../authors/run-program.ts'
import { type Authority, createAuthority, opensslProblem } from './certificates.ts'
import { psk, startTlsServer, type TlsServer } from './tls-server.ts'

const problem = opensslProblem()
if (problem !== undefined) console.warn(`Skipped: the agent's doctor and TLS. ${problem}`)

const timeFix =
  'Where the clock is wrong, set it: timedatectl set-ntp true, or date --set; else renew the certificate on the server, which takes up new files by itself.'

interface Finding {
  readonly check: string
  readonly level: 'ok' | 'warn' | 'bad'
  readonly says: string
  readonly fix?: string
}

describe.skipIf(problem !== undefined)('the doctor of an agent, before a server with TLS', () => {
  let authority: Authority
  let other: Authority
  let server: TlsServer
  const good = { names: 'DNS:localhost' }

  beforeAll(async () => {
    authority = createAuthority('Example Authority')
    other = createAuthority('Another Authority')
    server = await startTlsServer(authority.sign('good', good), authority.pem)
  })
  afterAll(async () => {
    await server?.stop()
    authority?.remove()
    other?.remove()
  })

  /** What it says about the way to the server; `ca` is the file that agent.ca_file names. */
  async function examine(
    host: string,
    ca: string | undefined,
  ): Promise<{ code: number; findings: Finding[] }> {
    const stateDir = join(authority.folder, 'agent')
    mkdirSync(stateDir, { recursive: true, mode: 0o700 })
    const config = join(stateDir, 'config.yaml')
    const settings = {
      ...{ id: 'vm-01', server_url: `https://${host}:${server.port}`, psk, state_dir: stateDir },
      ...(ca === undefined ? {} : { ca_file: ca }),
    }
    const lines = Object.entries(settings).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}`)
    writeFileSync(config, ['agent:', ...lines, ''].join('\n'), { mode: 0o600 })
    const { code, output } = await runNode(findPrograms().agent, ['doctor', '--json'], authority.folder, {
      AGENT_CONFIG: config,
    })
    return { code, findings: JSON.parse(output).findings }
  }
  const levelOf = (findings: readonly Finding[], check: string) =>
    findings.find((finding) => finding.check === check)?.level
  const tlsOf = (findings: readonly Finding[]): Finding | undefined =>
    findings.find(({ check }) => check === 'tls')

  test('takes a certificate of the authority that agent.ca_file names, and goes on to ask the server', async () => {
    await server.use(authority.sign('good-again', good))
    const { findings } = await examine('localhost', authority.file)
    expect(tlsOf(findings)).toMatchObject({
      level: 'ok',
      says: 'certificate by Example Authority, good for 29 days',
    })
    expect([levelOf(findings, 'http'), levelOf(findings, 'websocket')]).toEqual(['ok', 'ok'])
  })

  test.each([
    ['no authority is named', () => undefined],
    ['another one is named', () => other.file],
  ])('says that nobody it trusts signed the certificate where %s', async (_what, ca) => {
    await server.use(authority.sign(`good-${String(ca() === undefined)}`, good))
    const { code, findings } = await examine('localhost', ca())
    expect(code).toBe(1)
    expect(tlsOf(findings)).toEqual({
      check: 'tls',
      level: 'bad',
      says: expect.stringMatching(
        /^nobody whom this machine trusts signed the certificate of localhost; it is by Example Authority \([A-Z_]+\)$/,
      ),
      fix: 'Put the certificate of that authority into a file on this machine and name it in agent.ca_file.',
    })
    // Nothing beyond it can be told, and nothing was sent.
    expect(levelOf(findings, 'http')).toBeUndefined()
  })

  test('says for which names the certificate is, where it is for another one', async () => {
    await server.use(authority.sign('elsewhere', { names: 'DNS:fleet.example.com,DNS:fleet' }))
    const { code, findings } = await examine('localhost', authority.file)
    expect(code).toBe(1)
    expect(tlsOf(findings)).toEqual({
      check: 'tls',
      level: 'bad',
      says: 'the certificate is for fleet.example.com, fleet, not for localhost',
      fix: 'Use one of these names in agent.server_url, or give the server a certificate for localhost.',
    })
  })

  test('the same for an address, which a name in the certificate does not cover', async () => {
    await server.use(authority.sign('names-only', good))
    const { findings } = await examine('127.0.0.1', authority.file)
    expect(tlsOf(findings)?.says).toBe('the certificate is for localhost, not for 127.0.0.1')
    await server.use(authority.sign('address', { names: 'DNS:localhost,IP:127.0.0.1' }))
    expect(tlsOf((await examine('127.0.0.1', authority.file)).findings)?.level).toBe('ok')
  })

  test('says when the certificate ended', async () => {
    await server.use(authority.sign('expired', { ...good, from: -40, until: -3 }))
    const { code, findings } = await examine('localhost', authority.file)
    expect(code).toBe(1)
    expect(tlsOf(findings)).toEqual({
      check: 'tls',
      level: 'bad',
      says: expect.stringMatching(
        /^the certificate of localhost ended on \d{4}-\d\d-\d\d, 3 days ago; this machine's clock says \d{4}-/,
      ),
      fix: timeFix,
    })
  })

  test('says from when on the certificate counts', async () => {
    await server.use(authority.sign('tomorrow', { ...good, from: 2, until: 30 }))
    const { findings } = await examine('localhost', authority.file)
    expect(tlsOf(findings)).toMatchObject({
      level: 'bad',
      says: expect.stringMatching(
        /^the certificate of localhost counts only from \d{4}-\d\d-\d\d on; this machine's clock says \d{4}-/,
      ),
      fix: timeFix,
    })
  })

  test('warns before it ends', async () => {
    await server.use(authority.sign('soon', { ...good, until: 5.5 }))
    const { findings } = await examine('localhost', authority.file)
    expect(tlsOf(findings)).toMatchObject({
      level: 'warn',
      says: 'the certificate of localhost ends in 5 days',
    })
    expect(levelOf(findings, 'http')).toBe('ok')
  })
})

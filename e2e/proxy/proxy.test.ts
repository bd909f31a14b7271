import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import WebSocket from 'ws'
import { repository } from '../repository.ts'
import { freePort, isInstalled, type ProxyKind, startProxy } from './start-proxy.ts'
import { ask, askHttp2, open } from './through.ts'

const password = 'a password for tests'
const cases: readonly [ProxyKind, string, string][] = [
  ['nginx', 'nginx.conf', ''],
  ['nginx', 'nginx-path.conf', '/fleet'],
  ['caddy', 'Caddyfile', ''],
  ['caddy', 'Caddyfile-path', '/fleet'],
]

for (const [kind, example, prefix] of cases)
  describe.skipIf(!isInstalled(kind))(
    `behind ${kind} with deploy/proxy/${example} (where it is installed)`,
    () => {
      let dir: string
      let ca: string
      let fleet: TestFleet
      let base: string
      let origin: string
      const stops: (() => Promise<void>)[] = []

      beforeAll(async () => {
        dir = mkdtempSync(join(tmpdir(), 'proxy-'))
        const [certFile, keyFile] = [join(dir, 'cert.pem'), join(dir, 'cert.key')]
        const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
        const key = [
          '-newkey',
          'ec',
          '-pkeyopt',
          'ec_paramgen_curve:prime256v1',
          '-nodes',
          '-keyout',
          keyFile,
        ]
        execFileSync('openssl', ['req', '-x509', ...key, '-out', certFile, '-days', '1', ...names], {
          stdio: 'pipe',
        })
        ca = readFileSync(certFile, 'utf8')
        const [port, deafPort] = [await freePort(), await freePort()]
        origin = `https://localhost:${port}`
        base = `${origin}${prefix}`
        const deaf = `https://localhost:${deafPort}${prefix}`
        fleet = await startTestFleet({
          agents: [],
          env: { PUBLIC_URL: `${base},${deaf}`, TRUSTED_PROXIES: '127.0.0.1' },
        })
        const serverPort = Number(new URL(fleet.url).port)
        const common = { kind, example, serverPort, certFile, keyFile }
        stops.push((await startProxy({ ...common, port, dir: join(dir, 'open') })).stop)
        stops.push(
          (await startProxy({ ...common, port: deafPort, dir: join(dir, 'deaf'), refusesUpgrades: true }))
            .stop,
        )
        stops.push(startAgent('by-socket', base, certFile), startAgent('by-poll', deaf, certFile))
      })

      afterAll(async () => {
        for (const stop of stops.reverse()) await stop()
        await fleet?.stop()
        rmSync(dir, { recursive: true, force: true })
      })

      function startAgent(id: string, serverUrl: string, caFile: string): () => Promise<void> {
        const state = join(dir, id)
        mkdirSync(state, { mode: 0o700 })
        const config = join(state, 'config.yaml')
        const executors = JSON.stringify([join(repository, 'agent-plugins')])
        writeFileSync(
          config,
          `agent:\n  id: ${id}\n  server_url: ${serverUrl}\n  ca_file: ${caFile}\n  psk: a-secret-for-tests-0123456789\n  state_dir: ${state}\n  executors: ${executors}\n`,
          { mode: 0o600 },
        )
        const child = spawn(process.execPath, [join(repository, 'agent/dist/main.js')], {
          env: { PATH: process.env.PATH ?? '', AGENT_CONFIG: config, NO_PROMPT: '1' },
          stdio: 'ignore',
        })
        return async () => {
          child.kill('SIGTERM')
          if (child.exitCode === null) await once(child, 'exit')
        }
      }

      const post = (path: string, body: object, from?: string, headers: Record<string, string> = {}) =>
        ask(`${base}${path}`, ca, {
          method: 'POST',
          body: JSON.stringify(body),
          headers: { 'content-type': 'application/json', ...headers },
          ...(from === undefined ? {} : { from }),
        })

      test('the dashboard and its files come by HTTP/2, below the right base', async () => {
        const page = await askHttp2(`${base}/`, ca)
        expect(page.status).toBe(200)
        expect(page.text).toContain(`<base href="${prefix}/"`)
        const [, script = ''] = /src="\.\/(assets\/[^"]+\.js)"/.exec(page.text) ?? []
        expect(await askHttp2(`${base}/${script}`, ca)).toMatchObject({ status: 200 })
        expect(await askHttp2(`${base}/agents/by-socket`, ca)).toMatchObject({ status: 200 })
      })

      test('people log in with a cookie for https alone, and their page gets its live socket', async () => {
        const answer = await post('/api/auth/login', { username: 'admin', password }, undefined, { origin })
        expect(answer.status).toBe(200)
        const [cookie = ''] = answer.headers['set-cookie'] ?? []
        expect(cookie).toMatch(/^__Host-fleet_session=.*; Secure/)
        const socket = new WebSocket(`${base.replace('https', 'wss')}/api/ws`, {
          ...{ ca, origin, headers: { cookie: cookie.split(';')[0] ?? '' } },
        })
        await once(socket, 'open')
        socket.send(JSON.stringify({ op: 'subscribe', topic: 'agents' }))
        const [data] = (await once(socket, 'message')) as [Buffer]
        expect(JSON.parse(String(data))).toMatchObject({ topic: 'agents' })
        socket.close()
      })

      test('agents come in by WebSocket, and by polls where the proxy refuses these', async () => {
        for (const id of ['by-socket', 'by-poll'])
          await fleet.client.until(
            `${id} to be online`,
            async () => (await fleet.client.agent(id))?.status === 'online',
            60_000,
          )
      })

      test.skipIf(process.getuid?.() !== 0)(
        'live output is not held back (needs root, to write below /var/log)',
        async () => {
          const log = `/var/log/fleet-proxy-${process.pid}-${kind}.log`
          writeFileSync(log, 'first\n')
          try {
            for (const agent of ['by-socket', 'by-poll']) {
              const command = await fleet.client.submit(agent, 'log-stream.follow', { file: log })
              const headers = { authorization: `Bearer ${fleet.client.token}` }
              const stream = await open(`${base}/api/commands/${command.id}/stream`, ca, { headers })
              expect(stream.statusCode).toBe(200)
              let text = ''
              stream.on('data', (part) => {
                text += part
              })
              await fleet.client.until('the first line', async () => text.includes('first'), 30_000)
              for (const line of ['second', 'third']) {
                const began = performance.now()
                appendFileSync(log, `${line}\n`)
                await fleet.client.until(line, async () => text.includes(line), 10_000)
                expect(performance.now() - began).toBeLessThan(2500)
              }
              await fleet.client.request('POST', `/api/commands/${command.id}/cancel`, {})
              stream.destroy()
            }
          } finally {
            rmSync(log)
          }
        },
      )

      test('a guesser slows down alone, known by the address that the proxy saw', async () => {
        const guess = (from: string) =>
          post('/api/auth/login', { username: 'admin', password: 'wrong' }, from, {
            'x-forwarded-for': '6.6.6.6',
          })
        let last = 0
        for (let tries = 0; tries < 8 && last !== 429; tries += 1) last = (await guess('127.0.0.5')).status
        expect(last).toBe(429)
        expect((await post('/api/auth/login', { username: 'admin', password }, '127.0.0.6')).status).toBe(200)
        const { body } = await fleet.client.request<{ items: { address: string }[] }>(
          'GET',
          '/api/audit?action=login.refused',
        )
        expect(new Set(body.items.map(({ address }) => address))).toEqual(new Set(['127.0.0.5']))
      })

      test('scheme and host of such headers are believed nowhere', async () => {
        const headers = {
          ...{ 'x-forwarded-host': 'evil.example.com', 'x-forwarded-proto': 'http' },
          authorization: `Bearer ${fleet.client.token}`,
        }
        const answer = await post('/api/enrolment/tokens', {}, undefined, headers)
        expect(answer.status).toBe(201)
        expect(answer.text).not.toContain('evil.example.com')
        expect(answer.text).toContain(base)
      })

      test('a bundle of the largest size reaches the server whole', async () => {
        const answer = await ask(`${base}/api/admin/plugins`, ca, {
          method: 'POST',
          body: Buffer.alloc(20 * 1024 * 1024, 7),
          headers: {
            'content-type': 'application/vnd.fleetupdate.bundle',
            authorization: `Bearer ${fleet.client.token}`,
          },
        })
        expect(JSON.parse(answer.text)).toMatchObject({ code: expect.stringMatching(/^FLT_BUNDLE_/) })
      })
    },
  )

import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type App, buildApp } from '../app.ts'
import { readConfig } from '../config-load.ts'
import { createLog } from '../log.ts'
import { makeCertificate, type SelfMadeCertificate } from './testing/self-made-certificate.ts'

interface Got {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
  readonly commonName?: string
  readonly reused: boolean
}

let dir: string
let first: SelfMadeCertificate
let second: SelfMadeCertificate
let app: App
let port: number
let said = ''

const files = () => ({ cert: join(dir, 'live.pem'), key: join(dir, 'live.key') })
const use = ({ certFile, keyFile }: SelfMadeCertificate): void => {
  copyFileSync(certFile, files().cert)
  copyFileSync(keyFile, files().key)
}
const env = (more: object = {}) => ({
  ...{ DATA_DIR: join(dir, 'data'), UI_PASSWORD: 'a password for tests', HOST: '127.0.0.1', PORT: '0' },
  ...{ TLS_CERT_FILE: files().cert, TLS_KEY_FILE: files().key },
  ...more,
})

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'tls-'))
  first = makeCertificate(dir, 'first')
  second = makeCertificate(dir, 'second')
  use(first)
  const log = createLog((line) => {
    said += line
  })
  app = await buildApp(readConfig(env()), { log, onFatal: (error) => expect.unreachable(String(error)) })
  port = (await app.listen()).port
})

afterAll(async () => {
  await app?.dispose()
  rmSync(dir, { recursive: true, force: true })
})

function get(start: typeof httpsRequest, options: RequestOptions): Promise<Got> {
  return new Promise((resolve, reject) => {
    const request = start(
      { host: 'localhost', port, family: 4, path: '/api/health', ...options },
      (answer) => {
        let body = ''
        const peer = answer.socket as TLSSocket
        const commonName = peer.getPeerCertificate?.().subject?.CN
        answer.on('data', (part) => {
          body += part
        })
        answer.on('end', () =>
          resolve({
            ...{
              status: answer.statusCode ?? 0,
              headers: answer.headers,
              body,
              reused: request.reusedSocket,
            },
            ...(commonName === undefined ? {} : { commonName: String(commonName) }),
          }),
        )
      },
    )
    request.on('error', reject)
    request.end()
  })
}

const plain = (options: RequestOptions = {}) => get(httpRequest as typeof httpsRequest, options)

describe('a server with a certificate', () => {
  test('speaks https and tells browsers to stay there', async () => {
    const { status, headers, body } = await get(httpsRequest, { ca: first.pem })
    expect(status).toBe(200)
    expect(headers['strict-transport-security']).toMatch(/max-age=31536000/)
    expect(JSON.parse(body)).toMatchObject({ status: 'ok' })
  })

  test('gives its cookie to https alone', async () => {
    const answer = await new Promise<{ headers: Record<string, unknown> }>((resolve, reject) => {
      const options = {
        host: 'localhost',
        family: 4,
        port,
        path: '/api/auth/login',
        method: 'POST',
        ca: first.pem,
      }
      const request = httpsRequest({ ...options, headers: { 'content-type': 'application/json' } }, (got) => {
        got.resume()
        resolve({ headers: got.headers })
      })
      request.on('error', reject)
      request.end(JSON.stringify({ username: 'admin', password: 'a password for tests' }))
    })
    expect(String(answer.headers['set-cookie'])).toMatch(/^__Host-fleet_session=.*; Secure/)
  })

  test('sends who speaks plain HTTP to https, and answers nothing else there', async () => {
    const page = await plain({ path: '/agents/vm-01?x=1' })
    expect(page).toMatchObject({
      status: 308,
      headers: { location: `https://localhost:${port}/agents/vm-01?x=1` },
    })
    const post = await plain({ method: 'POST' })
    expect(post.status).toBe(400)
    expect(JSON.parse(post.body)).toMatchObject({ code: 'FLT_HTTP_PLAIN' })
    const elsewhere = await plain({ path: '//evil.example.com/' })
    expect(elsewhere.status).toBe(400)
  })

  test('takes up a renewed certificate for new connections; open ones go on', async () => {
    const pool = new Agent({ keepAlive: true, maxSockets: 1 })
    expect(await get(httpsRequest, { ca: first.pem, agent: pool })).toMatchObject({ commonName: 'first' })
    use(second)
    await app.reloadCertificate()
    expect(await get(httpsRequest, { ca: first.pem, agent: pool })).toMatchObject({
      status: 200,
      reused: true,
    })
    expect(await get(httpsRequest, { ca: second.pem })).toMatchObject({ commonName: 'second' })
    pool.destroy()
  })

  test('keeps the old one where the new one does not fit, and says so', async () => {
    copyFileSync(first.keyFile, files().key)
    await app.reloadCertificate()
    expect(said).toContain('The TLS certificate stays as it was')
    expect(await get(httpsRequest, { ca: second.pem })).toMatchObject({ commonName: 'second' })
    use(second)
  })
})

describe('a server does not start', () => {
  const start = (more: object) =>
    buildApp(readConfig(env({ DATA_DIR: join(dir, 'other'), ...more })), {
      log: createLog(() => {}),
      onFatal: () => {},
    })

  test('with a certificate and a key that do not belong together', async () => {
    await expect(start({ TLS_KEY_FILE: first.keyFile })).rejects.toMatchObject({
      code: 'FLT_TLS_CERTIFICATE',
    })
  })

  test('with files that are not there, or hold something else', async () => {
    await expect(start({ TLS_CERT_FILE: join(dir, 'none') })).rejects.toThrow(/TLS_CERT_FILE cannot be read/)
    writeFileSync(join(dir, 'text'), 'hello')
    await expect(start({ TLS_CERT_FILE: join(dir, 'text') })).rejects.toMatchObject({
      code: 'FLT_TLS_CERTIFICATE',
    })
  })

  test('with one of the two files', () => {
    expect(() => readConfig({ TLS_CERT_FILE: '/x' })).toThrow(/TLS_KEY_FILE: is missing/)
    expect(() => readConfig({ TRUSTED_PROXIES: '10.0.0.0/99' })).toThrow(
      /TRUSTED_PROXIES: must be IP addresses/,
    )
  })
})

import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fleetError } from '../errors.ts'
import { type AnswerDirectly, handleDirectly, registerDirectRoutes } from './direct-routes.ts'
import { registerErrorHandler } from './error-handler.ts'
import { mountRoutes } from './mount-routes.ts'
import { registerJsonBodies } from './raw-body.ts'
import type { Route } from './routes.ts'
import { registerSecurityHeaders } from './security-headers.ts'

const path = '/api/echo'
const echo: AnswerDirectly = async ({ body, headers }) => {
  if (body.toString() === '"refuse"') throw fleetError('FLT_AUTH_SIGNATURE', { problem: 'it is a test' })
  if (body.toString() === '"busy"') throw fleetError('FLT_STORE_BUSY')
  if (body.toString() === '"break"') throw new Error('secret inside')
  return {
    status: 200,
    headers: { 'x-own': '1' },
    body: JSON.stringify({ said: body.toString(), host: headers.host }),
  }
}
const routes: readonly Route[] = [
  { method: 'POST', path, rule: 'agent', summary: '', direct: echo, handle: handleDirectly(echo) },
  { method: 'GET', path: '/api/other', rule: 'public', summary: '', handle: () => ({ other: true }) },
]
const app = Fastify({ bodyLimit: 1024 * 1024, forceCloseConnections: true })
const reported: unknown[] = []
/** The framework's hooks that ran: a direct answer runs none. */
let hooks = 0

beforeAll(async () => {
  registerErrorHandler(app, (error) => reported.push(error))
  registerJsonBodies(app)
  registerSecurityHeaders(app, { https: true })
  app.addHook('onRequest', (_request, _reply, done) => {
    hooks++
    done()
  })
  mountRoutes(app, routes, async () => undefined)
  const allowsHost = (host = ''): boolean => !host.startsWith('evil')
  registerDirectRoutes(app.server, routes, {
    https: true,
    report: (error) => reported.push(error),
    allowsHost,
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
})
afterAll(() => app.close())

describe('a direct route', () => {
  test('is answered without the framework, with the same headers as through it', async () => {
    const direct = await post('"hello"')
    expect(hooks).toBe(0)
    const usual = await post('"hello"', { origin: 'http://127.0.0.1' })
    expect(hooks).toBe(1)
    expect(direct.status).toBe(200)
    expect(JSON.parse(direct.text).said).toBe('"hello"')
    expect(direct).toEqual(usual)
  })

  test.each([
    ['"refuse"', 401, 'FLT_AUTH_SIGNATURE'],
    ['"break"', 500, 'FLT_INTERNAL'],
    ['"busy"', 503, 'FLT_STORE_BUSY'],
  ])('that throws (%s) is answered as the framework would', async (body, status, code) => {
    const direct = await post(body)
    const usual = await post(body, { origin: 'http://127.0.0.1' })
    expect(direct.status).toBe(status)
    expect(direct.text).toContain(code)
    expect(direct.text).not.toContain('secret')
    expect(direct.headers['retry-after']).toBe(status === 503 ? '5' : undefined)
    expect(Object.keys(direct.headers).sort()).toEqual(Object.keys(usual.headers).sort())
  })

  test.each([
    ['of a strange host', { host: 'evil.example' }],
    ['in pieces', { 'transfer-encoding': 'chunked' }],
    ['that asks first', { expect: '100-continue' }],
    ['of another type', { 'content-type': 'text/plain' }],
  ])('leaves a request %s to the framework', async (_, headers) => {
    const before = hooks
    await post('"x"', headers)
    expect(hooks).toBe(before + 1)
  })

  test('reads exactly one megabyte and no more', async () => {
    const fits = JSON.stringify('x'.repeat(1024 * 1024 - 2))
    expect((await post(fits)).status).toBe(200)
    expect((await post(`${fits} `)).status).toBe(413)
  })

  test('leaves other routes and methods alone', async () => {
    expect((await post('1', {}, '/api/other')).status).toBe(404)
    expect((await post('1', {}, `${path}?x=1`)).status).toBe(200)
  })
})

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly text: string
}

function post(body: string, headers: Readonly<Record<string, string>> = {}, to = path): Promise<Answer> {
  const { port } = app.server.address() as AddressInfo
  const length: Readonly<Record<string, string>> =
    'transfer-encoding' in headers ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        ...{ host: '127.0.0.1', port, path: to, method: 'POST' },
        headers: { 'content-type': 'application/json', ...length, ...headers },
      },
      (answer) => {
        let text = ''
        answer.on('data', (part) => (text += part))
        answer.on('end', () => {
          const { date, ...rest } = answer.headers
          resolve({ status: answer.statusCode ?? 0, headers: rest, text })
        })
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })
}

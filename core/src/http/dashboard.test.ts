import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib'
import Fastify, { type FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { registerDashboard } from './dashboard.ts'

const script = 'console.log("a script of the dashboard")\n'.repeat(100)

describe('the files of the dashboard', () => {
  let app: FastifyInstance
  beforeAll(async () => {
    const dir = mkdtempSync(join(tmpdir(), 'fleet-dashboard-'))
    mkdirSync(join(dir, 'assets'))
    writeFileSync(join(dir, 'index.html'), '<base href="/">')
    writeFileSync(join(dir, 'assets/main-1.js'), script)
    writeFileSync(join(dir, 'assets/main-1.js.br'), brotliCompressSync(script))
    writeFileSync(join(dir, 'assets/main-1.js.gz'), gzipSync(script))
    app = Fastify()
    await registerDashboard(app, dir, { prefixFor: () => '' })
  })
  afterAll(() => app.close())

  const ask = (encoding?: string) =>
    app.inject({
      url: '/assets/main-1.js',
      headers: encoding === undefined ? {} : { 'accept-encoding': encoding },
    })

  test.each([
    ['gzip, deflate, br', 'br', brotliDecompressSync],
    ['gzip', 'gzip', gunzipSync],
    ['identity', undefined, (body: Buffer) => body],
    [undefined, undefined, (body: Buffer) => body],
  ])('are sent to a browser that takes %s as %s, for a year', async (accepts, encoding, unpack) => {
    const { statusCode, headers, rawPayload } = await ask(accepts)
    expect([statusCode, headers['content-encoding']]).toEqual([200, encoding])
    expect(headers['content-type']).toMatch(/^(text|application)\/javascript/)
    expect(headers['cache-control']).toContain('immutable')
    expect(headers.vary).toContain('accept-encoding')
    expect(unpack(rawPayload).toString()).toBe(script)
  })

  test('have no compressed twin with an address of its own', async () => {
    expect((await app.inject({ url: '/assets/main-1.js.br' })).statusCode).not.toBe(200)
  })
})

import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import Fastify from 'fastify'
import { expect, test } from 'vitest'
import type { Discovered } from './discover.ts'
import { createPanelAssets } from './panel-assets.ts'

const script = 'export const panel = "disk-health"\n'.repeat(100)

test('a panel is sent compressed to browsers that take it, and fonts as they are', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'fleet-panel-'))
  mkdirSync(join(dir, 'dist'))
  writeFileSync(join(dir, 'dist/panel.js'), script)
  writeFileSync(join(dir, 'dist/font.woff2'), 'a font')
  const assets = createPanelAssets()
  const panel = { module: 'dist/panel.js', styles: [], slots: ['agent.tab'], title: 'Disks' }
  const entry = await assets.entry({ id: 'disk-health', dir, manifest: { panel } } as unknown as Discovered)
  const app = Fastify()
  assets.register(app)
  const ask = (url = '', accepts?: string) =>
    app.inject({ url, headers: accepts === undefined ? {} : { 'accept-encoding': accepts } })

  for (const _ of ['first', 'kept']) {
    const packed = await ask(entry?.module, 'gzip, deflate, br')
    expect(packed.headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'accept-encoding' })
    expect(packed.headers['cache-control']).toContain('immutable')
    expect(gunzipSync(packed.rawPayload).toString()).toBe(script)
  }
  for (const accepts of [undefined, 'identity', 'gzip;q=0']) {
    const plain = await ask(entry?.module, accepts)
    expect([plain.headers['content-encoding'], plain.body]).toEqual([undefined, script])
  }
  const font = await ask(entry?.module.replace('panel.js', 'font.woff2'), 'gzip')
  expect([font.headers['content-encoding'], font.body]).toEqual([undefined, 'a font'])
  expect((await ask('/assets/plugins/disk-health/0/panel.js', 'gzip')).statusCode).toBe(404)
  await app.close()
})

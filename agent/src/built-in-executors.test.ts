import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { loadBuiltIns } from './built-in-executors.ts'
import { createLog } from './log.ts'
import { writeExecutor } from './testing/write-executor.ts'

let dir = ''
let lines: string[] = []
const log = createLog((line) => lines.push(line), { least: 'warn' })
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'agent-host-'))
  lines = []
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const sound = 'export default { contract, facts: {}, commands: {} }'

describe('the executor host', () => {
  test('loads what is sound, and turns everything else into a reason', async () => {
    writeExecutor(dir, { id: 'a-throws', module: "throw new Error('no such thing')" })
    writeExecutor(dir, { id: 'b-hangs', module: `await new Promise(() => setInterval(() => {}, 1000))` })
    writeExecutor(dir, { id: 'c-syntax', module: 'export default {' })
    writeExecutor(dir, { id: 'd-empty', module: 'export const nothing = 1' })
    writeExecutor(dir, { id: 'e-lacks', module: sound, contract: { commands: { go: {} } } })
    writeExecutor(dir, { id: 'f-other', module: sound, contract: { id: 'else' } })
    writeExecutor(dir, { id: 'g-manifest', module: sound, manifest: { surprise: true } })
    writeExecutor(dir, {
      id: 'h-outside',
      module: sound,
      manifest: { executor: '../i-sound/dist/executor.js' },
    })
    writeExecutor(dir, { id: 'i-sound', module: sound })
    symlinkSync(join(dir, 'i-sound', 'dist', 'executor.js'), join(dir, 'h-outside', 'dist', 'link.js'))
    writeExecutor(dir, { id: 'j-link', module: sound, manifest: { executor: './dist/link.js' } })
    symlinkSync('/etc/passwd', join(dir, 'j-link', 'dist', 'link.js'))
    writeExecutor(dir, { id: 'k-missing', module: sound, manifest: { executor: './dist/none.js' } })
    mkdirSync(join(dir, 'l-nothing'))
    mkdirSync(join(dir, 'm-json'))
    writeFileSync(join(dir, 'm-json', 'package.json'), '{')
    writeExecutor(dir, {
      id: 'n-server-only',
      module: sound,
      manifest: { executor: undefined, server: './s.js' },
    })

    const host = await loadBuiltIns([dir, join(dir, 'absent')], log, 500)
    const reasons = Object.fromEntries(host.map(({ id, reason }) => [id, reason ?? 'ok']))
    expect(reasons).toMatchObject({
      'a-throws': 'no such thing',
      'b-hangs': 'it did not load within 0.5 s',
      'c-syntax': expect.stringMatching(/./),
      'd-empty': expect.stringMatching(/no executor as default export/),
      'e-lacks': expect.stringMatching(/lacks the command "go"/),
      'f-other': expect.stringMatching(/contract is for "else"/),
      'g-manifest': expect.stringMatching(/manifest does not fit/),
      'h-outside': expect.stringMatching(/outside its folder/),
      'i-sound': 'ok',
      'j-link': expect.stringMatching(/outside its folder/),
      'k-missing': expect.stringMatching(/does not exist/),
      'm-json': expect.stringMatching(/not a JSON object/),
    })
    expect(Object.keys(reasons)).not.toContain('l-nothing')
    expect(Object.keys(reasons)).not.toContain('n-server-only')
    expect(host.find(({ id }) => id === 'i-sound')).toMatchObject({
      version: '1.2.3',
      contractHash: expect.stringMatching(/^[0-9a-f]{16}$/),
    })
  })

  test('takes the first of two with one id and reports the second', async () => {
    writeExecutor(join(dir, 'one'), { id: 'same', module: sound })
    writeExecutor(join(dir, 'two'), { id: 'same', module: sound })
    const host = await loadBuiltIns([join(dir, 'one'), join(dir, 'two')], log)
    expect(host.map(({ folder }) => folder)).toEqual([join(dir, 'one', 'same')])
    expect(lines.join()).toMatch(/"same" in .*two\/same is ignored/)
  })
})

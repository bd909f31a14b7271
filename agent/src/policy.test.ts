import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createPolicy, type PolicyRequest } from './policy.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'policy-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const own = process.getuid?.() ?? 0
const write = (text: string): void => writeFileSync(join(dir, 'policy.yaml'), text, { mode: 0o644 })
/** A Saturday. */
const saturday = (time: string): Date => new Date(`2026-01-03T${time}:00`)
const refusal = (request: Partial<PolicyRequest> = {}, now = saturday('12:00'), uid = own) =>
  createPolicy(join(dir, 'config.yaml'), { uid, now: () => now }).refusal({
    ...{ plugin: 'demo', command: 'run', effect: undefined, input: {} },
    ...request,
  })

const upgrade = {
  securityWhen: { type: 'object', required: ['mode'], properties: { mode: { const: 'security' } } },
} as const

describe('without a policy', () => {
  test('everything is allowed, until somebody puts a kill switch there', async () => {
    expect(await refusal()).toBeUndefined()
    writeFileSync(join(dir, 'kill-switch'), '')
    expect(await refusal({ effect: 'observe' })).toContain('"kill-switch"')
  })
})

describe('the mode', () => {
  test.each([
    ['full', undefined, {}, undefined],
    ['security-only', undefined, {}, 'mode'],
    ['security-only', 'change', {}, 'mode'],
    ['security-only', 'security', {}, undefined],
    ['security-only', 'observe', {}, undefined],
    ['security-only', upgrade, { mode: 'security' }, undefined],
    ['security-only', upgrade, { mode: 'all' }, 'mode'],
    ['security-only', upgrade, undefined, 'mode'],
    ['observe', 'observe', {}, undefined],
    ['observe', 'security', {}, 'mode'],
    ['observe', upgrade, { mode: 'security' }, 'mode'],
  ] as const)('%s, a command with the effect %j and the input %j: %s', async (mode, effect, input, rule) => {
    write(`mode: ${mode}`)
    const reason = await refusal({ effect, input })
    if (rule === undefined) expect(reason).toBeUndefined()
    else expect(reason).toMatch(new RegExp(`^rule "${rule}"`))
  })
})

test('the list of commands refuses what it does not name, also inherited names', async () => {
  write('commands: { demo: [run], other: all }')
  expect(await refusal()).toBeUndefined()
  expect(await refusal({ plugin: 'other', command: 'anything' })).toBeUndefined()
  for (const request of [{ command: 'stop' }, { plugin: 'third' }, { plugin: 'constructor' }])
    expect(await refusal({ ...request, effect: 'observe' })).toContain('"commands"')
})

test('windows are for changes alone, and may pass midnight', async () => {
  write("windows: [{ days: [sat], from: '22:00', to: '04:00' }]")
  expect(await refusal({}, saturday('21:59'))).toContain('"windows"')
  expect(await refusal({ effect: 'observe' }, saturday('21:59'))).toBeUndefined()
  expect(await refusal({}, saturday('22:00'))).toBeUndefined()
  expect(await refusal({}, new Date('2026-01-04T03:59:00'))).toBeUndefined()
  expect(await refusal({}, new Date('2026-01-04T04:00:00'))).toContain('"windows"')
  expect(await refusal({}, saturday('03:00'))).toContain('"windows"')
})

test('an edit counts at the next command', async () => {
  write('mode: observe')
  expect(await refusal()).toContain('"mode"')
  write('mode: full')
  expect(await refusal()).toBeUndefined()
})

describe('nothing starts', () => {
  test.each([
    'mode: everything',
    'command: { demo: all }',
    'commands: { demo: run }',
    'commands: [demo]',
    'windows: 22:00-04:00',
    "windows: [{ from: '25:00', to: '04:00' }]",
    "windows: [{ days: [someday], from: '22:00', to: '04:00' }]",
    'just text',
    '{',
  ])('where the policy says %j', async (text) => {
    write(text)
    expect(await refusal({ effect: 'observe' })).toMatch(/^rule "file"/)
  })

  test('where others may write the policy or its folder, or it is a link', async () => {
    write('mode: full')
    chmodSync(join(dir, 'policy.yaml'), 0o666)
    expect(await refusal()).toContain('"file"')
    chmodSync(join(dir, 'policy.yaml'), 0o644)
    expect(await refusal()).toBeUndefined()
    chmodSync(dir, 0o777)
    expect(await refusal()).toContain('"file"')
    chmodSync(dir, 0o700)
    rmSync(join(dir, 'policy.yaml'))
    writeFileSync(join(dir, 'elsewhere'), 'mode: full')
    symlinkSync(join(dir, 'elsewhere'), join(dir, 'policy.yaml'))
    expect(await refusal()).toContain('"file"')
  })
})

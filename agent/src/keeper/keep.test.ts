import { createHash } from 'node:crypto'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Manifest } from '@fleetupdate/sdk'
import { createPublisherKey, writeBundle } from '@fleetupdate/sdk/bundle'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { buildAgent } from '../../build.mjs'
import { runKeeperAt } from '../testing/run-keeper.ts'

const acme = createPublisherKey()
const stranger = createPublisherKey()
const program = mkdtempSync(join(tmpdir(), 'keeper-program-'))
await buildAgent(program)

let folder: string
let settings: string
let state: string
let store: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keeper-'))
  settings = join(folder, 'settings')
  state = join(folder, 'state')
  store = join(folder, 'store')
  mkdirSync(settings)
  mkdirSync(join(state, 'incoming'), { recursive: true })
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const ask = (request: object) => runKeeperAt(program, [settings, state, store], request)
const trust = (text: string, mode = 0o644): void => {
  writeFileSync(join(settings, 'trust.yaml'), text)
  chmodSync(join(settings, 'trust.yaml'), mode)
}
const trustAcme = (more = ''): void =>
  trust(`publishers:\n  - name: Acme\n    key: ${acme.publicKey}\n    plugins: ['acme-*']\n${more}`)

interface Made {
  readonly counter?: number
  readonly manifest?: Partial<Manifest>
  readonly key?: typeof acme
  readonly expiresAt?: string
}

function pack({
  counter = 10_000,
  manifest = {},
  key = acme,
  expiresAt = '2036-01-01T00:00:00.000Z',
}: Made = {}): Buffer {
  const whole: Manifest = { id: 'acme-disk', sdk: '1', executor: './dist/executor.js', ...manifest }
  const version = '1.0.0'
  const files = [
    { path: 'package.json', content: Buffer.from(JSON.stringify({ version, fleetupdate: whole })) },
    { path: 'dist/executor.js', content: Buffer.from(`export default ${counter}`) },
  ]
  return writeBundle({ version, counter, expiresAt, manifest: whole, files }, key)
}

function fetched(bytes: Buffer): string {
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  writeFileSync(join(state, 'incoming', sha256), bytes)
  return sha256
}

const stored = async (bytes: Buffer) => (await ask({ verb: 'store', sha256: fetched(bytes) })).bundles?.[0]
const verified = async (sha256: string) => (await ask({ verb: 'verify', bundles: [sha256] })).bundles?.[0]

describe('the bundle keeper', () => {
  test('stores what a trusted publisher signed, by hash, and lets it run as long as nothing changes', async () => {
    trustAcme()
    const bytes = pack()
    const kept = await stored(bytes)
    expect(kept).toMatchObject({ id: 'acme-disk', version: '1.0.0', publisher: 'Acme' })
    expect(kept?.folder).toBe(join(store, 'bundles', kept?.sha256 ?? ''))
    const module = readFileSync(join(kept?.folder ?? '', 'dist/executor.js'))
    expect(createHash('sha256').update(module).digest('hex')).toBe(kept?.entrySha256)
    expect(await verified(kept?.sha256 ?? '')).toEqual(kept)
    expect(await stored(bytes)).toEqual(kept)
    expect((await ask({ verb: 'list' })).bundles).toEqual([kept?.sha256])
    await ask({ verb: 'sweep', bundles: [] })
    expect(await verified(kept?.sha256 ?? '')).toMatchObject({ state: 'missing' })
  })

  test.each<[string, () => void, Made, string]>([
    ['there is no trust file', () => undefined, {}, 'not in the trust file'],
    ['a stranger signed', trustAcme, { key: stranger }, 'not in the trust file'],
    ['the key was revoked', () => trustAcme('    revoked: true\n'), {}, 'was revoked'],
    [
      "the name is not the publisher's",
      trustAcme,
      { manifest: { id: 'os-updates' } },
      'not trusted with the name',
    ],
    ['it expired', trustAcme, { expiresAt: '2026-01-01T00:00:00.000Z' }, 'expired'],
    [
      'it asks for root without a grant',
      trustAcme,
      { manifest: { privileges: [{ id: 'x', reason: 'r', program: '/bin/true', args: [] }] } },
      'not trusted with privileges',
    ],
    ['it asks for the network', trustAcme, { manifest: { network: true } }, 'not trusted with the network'],
    [
      'the trust file can be written by others',
      () => {
        trustAcme()
        chmodSync(join(settings, 'trust.yaml'), 0o666)
      },
      {},
      'nobody else may write',
    ],
    [
      'the trust file has a key that is not known',
      () => trustAcme('    privilege: true\n'),
      {},
      'the key "privilege" is unknown',
    ],
    [
      'the trust file names a key twice',
      () => trustAcme(`  - name: Again\n    key: ${acme.publicKey}\n    plugins: ['b-*']\n`),
      {},
      'stands there twice',
    ],
    [
      'the trust file is a link',
      () => {
        writeFileSync(join(folder, 'real'), 'unsigned: allow\n')
        symlinkSync(join(folder, 'real'), join(settings, 'trust.yaml'))
      },
      {},
      'nobody else may write',
    ],
    [
      'the policy does not list it',
      () => {
        trustAcme()
        writeFileSync(join(settings, 'policy.yaml'), 'commands:\n  os-updates: all\n')
      },
      {},
      'policy rule "commands"',
    ],
    [
      'the policy is not understood',
      () => {
        trustAcme()
        writeFileSync(join(settings, 'policy.yaml'), 'modus: full\n')
      },
      {},
      'unknown',
    ],
    [
      'it brings no executor',
      trustAcme,
      { manifest: { executor: undefined } as unknown as Partial<Manifest> },
      'brings no executor',
    ],
  ])('refuses a bundle where %s', async (_what, prepare, made, reason) => {
    prepare()
    expect(await stored(pack(made))).toMatchObject({
      state: 'refused',
      reason: expect.stringContaining(reason),
    })
    expect((await ask({ verb: 'list' })).bundles).toEqual([])
  })

  test('takes no step back behind the highest version it has seen, also after that one is gone', async () => {
    trustAcme()
    const old = pack({ counter: 1 })
    const oldHash = (await stored(old))?.sha256 ?? ''
    expect(await stored(pack({ counter: 2 }))).toMatchObject({ id: 'acme-disk' })
    expect(await verified(oldHash)).toMatchObject({
      state: 'refused',
      reason: expect.stringContaining('older'),
    })
    // What it began may end.
    expect((await ask({ verb: 'manifest', bundle: oldHash })).manifest).toMatchObject({ id: 'acme-disk' })
    trustAcme('    revoked: true\n')
    expect((await ask({ verb: 'manifest', bundle: oldHash })).refused).toContain('was revoked')
    trustAcme()
    await ask({ verb: 'sweep', bundles: [] })
    expect(await ask({ verb: 'manifest', bundle: oldHash })).toEqual({ refused: 'it is not kept here' })
    expect(await stored(old)).toMatchObject({ state: 'refused', reason: expect.stringContaining('older') })
    writeFileSync(join(store, 'counters.json'), 'damaged')
    expect(await ask({ verb: 'store', sha256: fetched(old) })).toHaveProperty('failed')
  })

  test('keeps the highest counter whatever the order of many that come at once', async () => {
    trustAcme()
    const hashes = [3, 9, 1, 7, 5].map((counter) => fetched(pack({ counter })))
    await Promise.all(hashes.map((sha256) => ask({ verb: 'store', sha256 })))
    const counters = JSON.parse(readFileSync(join(store, 'counters.json'), 'utf8'))
    expect(counters['acme-disk'].counter).toBe(9)
  })

  test.each<[string, (kept: string) => void]>([
    ['a byte of the module was changed', (kept) => appendFileSync(join(kept, 'dist/executor.js'), ' ')],
    ['a file was added', (kept) => writeFileSync(join(kept, 'dist/more.js'), '')],
    ['a file is gone', (kept) => rmSync(join(kept, 'dist/executor.js'))],
    [
      'a file became a link',
      (kept) => {
        rmSync(join(kept, 'dist/executor.js'))
        symlinkSync('/etc/passwd', join(kept, 'dist/executor.js'))
      },
    ],
    ['others may write one', (kept) => chmodSync(join(kept, 'package.json'), 0o666)],
    ['its signature is gone', (kept) => writeFileSync(join(kept, 'bundle.json'), '{}')],
  ])(
    'calls a stored bundle modified where %s, and puts it right when it is stored again',
    async (_what, harm) => {
      trustAcme()
      const bytes = pack()
      const { sha256 = '', folder: kept = '' } = (await stored(bytes)) ?? {}
      harm(kept)
      expect(await verified(sha256)).toMatchObject({ state: 'modified', reason: expect.any(String) })
      expect(await stored(bytes)).toMatchObject({ id: 'acme-disk' })
      expect(await verified(sha256)).toMatchObject({ id: 'acme-disk' })
    },
  )

  test('looks at nothing but a plain file with the right hash in the place for it', async () => {
    trustAcme()
    const bytes = pack()
    const sha256 = fetched(bytes)
    const file = join(state, 'incoming', sha256)
    const answer = async () => (await ask({ verb: 'store', sha256 })).bundles?.[0]
    rmSync(file)
    symlinkSync('/etc/hostname', file)
    expect(await answer()).toMatchObject({ state: 'missing' })
    rmSync(file)
    mkdirSync(file)
    expect(await answer()).toMatchObject({ state: 'refused' })
    rmSync(file, { recursive: true })
    writeFileSync(file, Buffer.concat([bytes, Buffer.from('x')]))
    expect(await answer()).toMatchObject({ reason: expect.stringContaining('not what was asked for') })
    const outside = (await ask({ verb: 'store', sha256: '../../etc/passwd' })).bundles?.[0]
    expect(outside).toMatchObject({ state: 'missing' })
    expect(existsSync(join(store, 'bundles', sha256))).toBe(false)
  })

  test.each([
    ['{}'],
    ['[]'],
    ['no json'],
    ['{"verb":"sweep"}'],
    ['{"verb":"verify","bundles":[1]}'],
    ['{"verb":"rm"}'],
  ])('answers %s with what is wrong', async (line) =>
    expect(await runKeeperAt(program, [settings, state, store], line)).toHaveProperty('failed'),
  )

  test('says whether executors that nobody signed may run: only where the file says so', async () => {
    expect(await ask({ verb: 'trust' })).toEqual({ unsigned: 'refuse' })
    trust('unsigned: allow\n')
    expect(await ask({ verb: 'trust' })).toEqual({ unsigned: 'allow' })
    trust('unsigned: yes\n')
    expect(await ask({ verb: 'trust' })).toMatchObject({ unsigned: 'refuse', problem: expect.any(String) })
  })
})

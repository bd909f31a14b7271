import { createPublicKey } from 'node:crypto'
import { gunzipSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { Manifest } from '../contract/manifest.ts'
import { signEnvelope, verifyEnvelope } from './envelope.ts'
import {
  type BundleParts,
  createPublisherKey,
  keyIdOf,
  openBundle,
  trustProblem,
  writeBundle,
} from './index.ts'
import type { Statement } from './statement.ts'
import { type ArchiveFile, readTar, writeTar } from './tar.ts'

const key = createPublisherKey()
const stranger = createPublisherKey()
const manifest: Manifest = { id: 'disk-health', sdk: '1', server: './dist/server.js', programs: ['df'] }
const file = (path: string, text: string): ArchiveFile => ({ path, content: Buffer.from(text) })
const packageJson = (value: object = manifest, version = '1.2.3'): ArchiveFile =>
  file('package.json', JSON.stringify({ version, fleetupdate: value }))
const parts: BundleParts = {
  version: '1.2.3',
  counter: 10203,
  expiresAt: '2030-01-01T00:00:00.000Z',
  manifest,
  files: [file('dist/server.js', 'export default 1'), packageJson()],
}
const sound = writeBundle(parts, key)

/** The sound bundle's archive with something done to its entries. */
const withEntries = (change: (entries: ArchiveFile[]) => ArchiveFile[]): Buffer =>
  gzipSync(writeTar(change([...readTar(gunzipSync(sound))])))

/** The sound bundle's raw tar with bytes changed, the checksum of the last header put right. */
const withTar = (change: (tar: Buffer) => Buffer): Buffer => gzipSync(change(gunzipSync(sound)))

/** Overwrites a field of the last file's header, and corrects its checksum. */
const withHeader = (at: number, bytes: string): Buffer =>
  withTar((tar) => {
    const start = tar.lastIndexOf('package.json\0')
    tar.fill(0, start + at, start + at + (at === 0 ? 100 : 0))
    tar.write(bytes, start + at, 'latin1')
    tar.write('        ', start + 148)
    const sum = tar.subarray(start, start + 512).reduce((total, byte) => total + byte, 0)
    tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, start + 148)
    return tar
  })

const withStatement = (change: (statement: Statement) => object, signer = key): Buffer =>
  withEntries(([envelope, ...files]) => {
    const { payload } = JSON.parse(String(envelope?.content)) as { payload: string }
    const changed = change(JSON.parse(Buffer.from(payload, 'base64').toString()))
    const signed = signEnvelope(Buffer.from(JSON.stringify(changed)), signer.privateKey, key.publicKey)
    return [file('bundle.json', JSON.stringify(signed)), ...files]
  })

describe('a bundle', () => {
  test('says who signed it, what it asks for, and holds exactly the signed files', () => {
    const { statement, keyId, files } = openBundle(sound)
    expect(statement).toMatchObject({ id: 'disk-health', version: '1.2.3', counter: 10203, manifest })
    expect(keyId).toBe(keyIdOf(key.publicKey))
    expect(files.map(({ path }) => path)).toEqual(['dist/server.js', 'package.json'])
  })

  test('is the same, byte for byte, whatever the order of its files', () => {
    expect(writeBundle({ ...parts, files: [...parts.files].reverse() }, key).equals(sound)).toBe(true)
  })

  test('signs type and length of the payload as DSSE says', () => {
    const publicKey = createPublicKey(key.privateKey)
    const envelope = signEnvelope(Buffer.from('{}'), key.privateKey, key.publicKey)
    expect(verifyEnvelope(envelope, publicKey)).toBe(true)
    expect(verifyEnvelope({ ...envelope, payload: Buffer.from('{ }').toString('base64') }, publicKey)).toBe(
      false,
    )
    expect(verifyEnvelope(envelope, createPublicKey(stranger.privateKey))).toBe(false)
  })
})

const hostile: readonly (readonly [what: string, bytes: () => Buffer, reason: string])[] = [
  ['no bytes', () => Buffer.alloc(0), 'not gzip'],
  ['text', () => Buffer.from('<html>not found</html>'), 'not gzip'],
  ['half of it', () => sound.subarray(0, sound.length / 2), 'sound plugin bundle'],
  ['data behind the gzip stream', () => Buffer.concat([sound, Buffer.from('more')]), 'data behind its end'],
  ['a second gzip stream', () => Buffer.concat([sound, gzipSync('')]), 'data behind its end'],
  ['a wrong checksum', () => Buffer.from(sound).fill(7, sound.length - 8, sound.length - 4), 'checksum'],
  [
    'a gzip header with a name',
    () => Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 8]), sound.subarray(4)]),
    'not gzip',
  ],
  ['a bomb', () => gzipSync(Buffer.alloc(65 * 1024 * 1024)), 'unpacks to more'],
  ['too many bytes', () => Buffer.alloc(21 * 1024 * 1024), 'too large'],
  ['an empty archive', () => gzipSync(Buffer.alloc(1024)), 'is not first'],
  [
    'data behind the archive',
    () => withTar((tar) => Buffer.concat([tar, Buffer.alloc(512, 1)])),
    'behind its end',
  ],
  ['an archive without an end', () => withTar((tar) => tar.subarray(0, tar.length - 1024)), 'cut off'],
  [
    'data in the padding',
    () => withTar((tar) => Buffer.from(tar).fill(1, tar.length - 1030, tar.length - 1024)),
    'behind',
  ],
  ['an absolute path', () => withHeader(0, '/etc/passwd'), 'is absolute'],
  ['a path that climbs', () => withHeader(0, '../package.json'), 'leaves the folder'],
  ['a path that climbs from inside', () => withHeader(0, 'dist/../../x'), 'leaves the folder'],
  ['a hidden path', () => withHeader(0, '.bashrc'), 'not allowed'],
  ['a backslash', () => withHeader(0, 'dist\\x'), 'not allowed'],
  ['a double slash', () => withHeader(0, 'dist//x'), 'not allowed'],
  ['a line feed in a name', () => withHeader(0, 'a\nb'), 'not allowed'],
  ['an empty name', () => withHeader(0, ''), 'empty'],
  ['a symbolic link', () => withHeader(156, '2'), 'symbolic link'],
  ['a hard link', () => withHeader(156, '1'), 'hard link'],
  ['a device', () => withHeader(156, '3'), 'device'],
  ['a pipe', () => withHeader(156, '6'), 'pipe'],
  ['a folder', () => withHeader(156, '5'), 'folder'],
  ['an extended header', () => withHeader(156, 'x'), 'unknown kind'],
  ['a link target', () => withHeader(157, '/etc/shadow'), 'says more'],
  ['a set-uid mode', () => withHeader(100, '0004755'), 'says more'],
  ['an owner', () => withHeader(108, '0000001'), 'says more'],
  ['a prefix', () => withHeader(345, 'etc'), 'says more'],
  ['a negative size', () => withHeader(124, '-0000000001'), 'not a number'],
  ['a huge size', () => withHeader(124, '77777777777'), 'larger'],
  ['a file twice', () => withEntries((all) => [...all, file('package.json', '{}')]), 'twice'],
  ['a file twice but for case', () => withEntries((all) => [...all, file('Package.json', '{}')]), 'twice'],
  ['a file that is a folder too', () => withEntries((all) => [...all, file('dist', 'x')]), 'twice'],
  [
    'a folder that is a file too',
    () => withEntries((all) => [...all, file('package.json/x', 'x')]),
    'at once',
  ],
  [
    'too many files',
    () => withEntries((all) => [...all, ...Array.from({ length: 500 }, (_, i) => file(`f${i}`, ''))]),
    'more than 500',
  ],
  ['no envelope', () => withEntries((all) => all.slice(1)), 'is not first'],
  [
    'an empty envelope',
    () => withEntries((all) => [file('bundle.json', '{}'), ...all.slice(1)]),
    'no envelope',
  ],
  ['a file that was added', () => withEntries((all) => [...all, file('dist/x.js', 'x')]), 'it was added'],
  ['a file that is missing', () => withEntries((all) => all.slice(0, 2)), 'it is missing'],
  [
    'a file that was swapped',
    () =>
      withEntries((all) =>
        all.map((f) => (f.path === 'dist/server.js' ? file(f.path, 'export default 2') : f)),
      ),
    'its content is another',
  ],
  ['another statement under the old signature', () => withOldSignature(), 'was not made by the key'],
  ["a stranger's signature", () => withStatement((s) => s, stranger), 'was not made by the key'],
  ['a statement without a counter', () => withStatement(({ counter, ...s }) => s), 'does not fit'],
  ['a statement with an extra member', () => withStatement((s) => ({ ...s, trust: true })), 'does not fit'],
  ['another name', () => withStatement((s) => ({ ...s, id: 'os-updates' })), 'not the one in package.json'],
  [
    'another version',
    () => withStatement((s) => ({ ...s, version: '9.0.0' })),
    'not the one in package.json',
  ],
  [
    'fewer programs than the manifest asks for',
    () => withStatement((s) => ({ ...s, manifest: { ...manifest, programs: [] } })),
    'not the one in package.json',
  ],
  ['no server part', () => writeBundle({ ...parts, files: [packageJson()] }, key), 'lacks the file'],
  [
    'no package.json',
    () => writeBundle({ ...parts, files: parts.files.slice(0, 1) }, key),
    'package.json is missing',
  ],
]

function withOldSignature(): Buffer {
  return withEntries(([envelope, ...files]) => {
    const old = JSON.parse(String(envelope?.content)) as { payload: string }
    const statement = JSON.parse(Buffer.from(old.payload, 'base64').toString()) as object
    const payload = Buffer.from(JSON.stringify({ ...statement, counter: 99999 })).toString('base64')
    return [file('bundle.json', JSON.stringify({ ...old, payload })), ...files]
  })
}

describe('a hostile bundle is refused with its reason', () => {
  test.each(hostile)('%s', (_what, bytes, reason) => {
    expect(() => openBundle(bytes())).toThrow(reason)
    expect(() => openBundle(bytes())).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^FLT_BUNDLE_/) }),
    )
  })

  test('whichever single byte of it is changed', () => {
    const original = openBundle(sound)
    for (let at = 0; at < sound.length; at++) {
      const changed = Buffer.from(sound)
      changed[at] = (changed[at] ?? 0) ^ 1
      try {
        // A few bits of gzip mean nothing (its header, the filling before a block): then what comes out is the same.
        expect(openBundle(changed), `byte ${at}`).toEqual(original)
      } catch (error) {
        expect((error as { code?: string }).code, `byte ${at}`).toMatch(/^FLT_BUNDLE_/)
      }
    }
  })
})

describe('trust', () => {
  const { statement } = openBundle(sound)
  const acme = { name: 'Acme', key: key.publicKey, plugins: ['disk-*'] }
  const ask = (publisher: object, more: object = {}, changed: object = {}): string | undefined =>
    trustProblem(
      { ...statement, ...changed },
      {
        publishers: [{ ...acme, ...publisher }],
        highestCounter: 0,
        nowMs: Date.parse('2027-01-01'),
        ...more,
      },
    )

  test('lets in what a publisher may publish', () => {
    expect(ask({})).toBeUndefined()
    expect(ask({ plugins: ['disk-health'] })).toBeUndefined()
    expect(ask({}, { highestCounter: 10203 })).toBeUndefined()
    const privileges = [{ id: 'x', reason: 'y', program: '/z', args: [] }]
    const demanding = { manifest: { ...manifest, privileges, network: true, paths: ['/var/log/apt'] } }
    expect(ask({ privileges: true, network: true, paths: ['/var/log'] }, {}, demanding)).toBeUndefined()
    expect(ask({ privileges: ['/z'], network: true }, {}, demanding)).toBeUndefined()
  })

  test.each([
    ['an unknown publisher', ask({ key: stranger.publicKey }), 'not in the trust file'],
    ['a revoked key', ask({ revoked: true }), 'revoked'],
    ["a name that is not the publisher's", ask({ plugins: ['acme-*', 'disk'] }), 'not trusted with the name'],
    ['an older counter', ask({}, { highestCounter: 10204 }), 'older'],
    ['an expired bundle', ask({}, { nowMs: Date.parse('2030-01-01') }), 'expired'],
    [
      'privileges that were not granted',
      ask(
        {},
        {},
        { manifest: { ...manifest, privileges: [{ id: 'x', reason: 'y', program: '/z', args: [] }] } },
      ),
      'asks for some',
    ],
    [
      'a program that was not granted',
      ask(
        { privileges: ['/usr/sbin/zpool'] },
        {},
        { manifest: { ...manifest, privileges: [{ id: 'x', reason: 'y', program: '/z', args: [] }] } },
      ),
      'not trusted to start /z as root',
    ],
    [
      'the network',
      ask({}, {}, { manifest: { ...manifest, network: true } }),
      'not trusted with the network',
    ],
    [
      'a path beside the granted one',
      ask({ paths: ['/var/log'] }, {}, { manifest: { ...manifest, paths: ['/var/log', '/var/logs'] } }),
      'not trusted to read /var/logs',
    ],
    [
      'a way out of the granted path',
      ask({ paths: ['/var/log/'] }, {}, { manifest: { ...manifest, paths: ['/var/log/../../etc/shadow'] } }),
      'not trusted to read',
    ],
  ])('refuses %s', (_what, problem, reason) => {
    expect(problem).toContain(reason)
  })
})

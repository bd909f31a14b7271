import { createPublicKey } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPublisherKey, importPublicKey } from '@fleetupdate/sdk/bundle'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readTrust } from './keeper/trust-file.ts'
import { runTrustCommand } from './trust-command.ts'

const { publicKey } = createPublisherKey()
let folder: string
let file: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'trust-'))
  file = join(folder, 'trust.yaml')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function trust(...args: string[]): Promise<string> {
  const lines: string[] = []
  await runTrustCommand(args, { folder, uid: 0, print: (line) => void lines.push(line) })
  return lines.join('\n')
}
const read = () => readTrust(folder, [process.getuid?.() ?? 0])

test('a publisher is added with what it may do, listed, and revoked', async () => {
  expect(await trust()).toContain('No publisher is trusted')
  await trust('add', 'Acme', publicKey, '--plugins', 'acme-*, disk', '--programs', '/usr/bin/id', '--network')
  expect((await read()).publishers).toEqual([
    {
      ...{ name: 'Acme', key: publicKey, plugins: ['acme-*', 'disk'], network: true, revoked: false },
      privileges: ['/usr/bin/id'],
    },
  ])
  expect(await trust('list')).toContain(
    `trusted  Acme  ${publicKey}  acme-*, disk  (root for /usr/bin/id; network)`,
  )
  await trust('revoke', 'Acme')
  expect((await read()).publishers[0]?.revoked).toBe(true)
  await trust('unsigned', 'allow')
  expect((await read()).unsigned).toBe('allow')
})

test('comments and what else stands in the file stay', async () => {
  writeFileSync(file, '# ours\nunsigned: refuse # for now\n', { mode: 0o644 })
  await trust('add', 'Acme', publicKey, '--plugins', 'acme-*')
  const text = readFileSync(file, 'utf8')
  expect(text).toContain('# ours')
  expect(text).toContain('# for now')
})

test('a key may come from a file, plain or as PEM', async () => {
  const plain = join(folder, 'plain')
  const pem = join(folder, 'pem')
  writeFileSync(plain, `the key:\n${publicKey}\n`)
  writeFileSync(
    pem,
    createPublicKey(importPublicKey(publicKey).export({ type: 'spki', format: 'pem' })).export({
      type: 'spki',
      format: 'pem',
    }),
  )
  await trust('add', 'Plain', plain, '--plugins', 'a-*')
  expect((await read()).publishers[0]?.key).toBe(publicKey)
  await expect(trust('add', 'Pem', pem, '--plugins', 'b-*')).rejects.toThrow('stands there twice')
})

test.each(['-', '--'])('a key that begins with %s is a key, not an option', async (start) => {
  const key = start.padEnd(43, 'A')
  await trust('add', 'Acme', key, '--plugins', 'acme-*', '--network')
  expect((await read()).publishers[0]).toMatchObject({ name: 'Acme', key, network: true })
  expect(await trust('list')).toContain(`trusted  Acme  ${key}  acme-*`)
})

test.each<[string, string[]]>([
  ['a key that is none', ['add', 'Acme', 'short', '--plugins', 'a']],
  ['no plugins', ['add', 'Acme', publicKey]],
  ['a pattern for everything', ['add', 'Acme', publicKey, '--plugins', '*']],
  ['a program without its path', ['add', 'Acme', publicKey, '--plugins', 'a', '--programs', 'id']],
  ['an unknown option', ['add', 'Acme', publicKey, '--plugins', 'a', '--root']],
  ['a publisher that is not there', ['revoke', 'Acme']],
  ['another word than allow or refuse', ['unsigned', 'maybe']],
  ['an unknown word', ['forget', 'Acme']],
])('%s changes nothing', async (_what, args) => {
  await expect(trust(...args)).rejects.toThrow('Trust was not changed')
  expect(existsSync(file)).toBe(false)
})

test('below /etc only root may change it', async () => {
  const options = { folder: '/etc/orchestrator-agent-of-a-test', uid: 1000, print: () => undefined }
  await expect(runTrustCommand(['unsigned', 'allow'], options)).rejects.toThrow('only root')
})

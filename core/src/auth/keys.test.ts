import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openMasterKey } from './master-key.ts'
import { createSealer } from './sealer.ts'

describe('the master key', () => {
  let dir: string
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'fleetupdate-key-'))
  })
  afterEach(() => rm(dir, { recursive: true }))

  test('is made once, for its owner alone', async () => {
    const file = join(dir, 'new', 'master.key')
    const keys = await Promise.all([openMasterKey(file), openMasterKey(file), openMasterKey(file)])
    expect(keys[0]).toHaveLength(32)
    expect(keys[1]).toEqual(keys[0])
    expect(keys[2]).toEqual(keys[0])
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await openMasterKey(file)).toEqual(keys[0])
  })

  test.each([0o644, 0o666, 0o620, 0o604])('is refused with mode %o', async (mode) => {
    const file = join(dir, 'master.key')
    await openMasterKey(file)
    await chmod(file, mode)
    await expect(openMasterKey(file)).rejects.toMatchObject({
      code: 'FLT_CONFIG_INVALID',
      message: `MASTER_KEY_FILE: ${file} can be read by others; run: chmod 600 ${file}.`,
    })
  })

  test('is refused and left alone where it is no key', async () => {
    const file = join(dir, 'master.key')
    await writeFile(file, 'too short\n', { mode: 0o600 })
    await expect(openMasterKey(file)).rejects.toThrow(/does not hold a master key/)
    expect(await readFile(file, 'utf8')).toBe('too short\n')
  })

  test('says so where its folder cannot be made', async () => {
    await writeFile(join(dir, 'file'), '')
    await expect(openMasterKey(join(dir, 'file', 'master.key'))).rejects.toMatchObject({
      code: 'FLT_CONFIG_INVALID',
    })
  })
})

describe('a sealer', () => {
  const sealer = createSealer(randomBytes(32))
  const plain = Buffer.from('a root key')

  test('opens what it sealed, and seals the same never twice alike', () => {
    const [first, second] = [sealer.seal(plain, 'agent-root:web-1'), sealer.seal(plain, 'agent-root:web-1')]
    expect(Buffer.from(first)).not.toEqual(Buffer.from(second))
    expect(sealer.open(first, 'agent-root:web-1')).toEqual(plain)
    expect(sealer.open(sealer.seal(Buffer.alloc(0), 'x'), 'x')).toEqual(Buffer.alloc(0))
  })

  test('refuses another context, another key, and every changed bit', () => {
    const sealed = sealer.seal(plain, 'agent-root:web-1')
    const refused = expect.objectContaining({ code: 'FLT_SECRET_UNREADABLE' })
    expect(() => sealer.open(sealed, 'agent-root:web-2')).toThrow(refused)
    expect(() => createSealer(randomBytes(32)).open(sealed, 'agent-root:web-1')).toThrow(refused)
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = Uint8Array.from(sealed)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      expect(() => sealer.open(changed, 'agent-root:web-1')).toThrow(refused)
    }
    for (let length = 0; length < sealed.length; length++)
      expect(() => sealer.open(sealed.subarray(0, length), 'agent-root:web-1')).toThrow(refused)
  })
})

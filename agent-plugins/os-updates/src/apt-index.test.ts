import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { aptFingerprint, indexRefreshedAt } from './apt-index.ts'
import { createUpdatesCollector } from './updates.ts'

const day = 24 * 3600 * 1000

describe('the index of apt', () => {
  let root: string
  const lists = (file: string) => join(root, 'var/lib/apt/lists', file)

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'fleet-index-'))
    await mkdir(lists('partial'), { recursive: true })
    await mkdir(join(root, 'etc/apt/preferences.d'), { recursive: true })
  })
  afterEach(() => rm(root, { recursive: true, force: true }))

  it('was never fetched where there is none', async () => {
    await writeFile(lists('lock'), '')
    expect(await indexRefreshedAt(root)).toBeUndefined()
    expect(await indexRefreshedAt(join(root, 'nowhere'))).toBeUndefined()
  })

  it('is as fresh as its fetch, however old the publication', async () => {
    await writeFile(lists('deb_InRelease'), 'x')
    await utimes(lists('deb_InRelease'), new Date(0), new Date(0))
    expect(Date.now() - ((await indexRefreshedAt(root))?.getTime() ?? 0)).toBeLessThan(60_000)
  })

  it('is no fresher than the last attempt to fetch it, also on a copied disk', async () => {
    await writeFile(lists('deb_InRelease'), 'x')
    const attempt = new Date(Date.now() - 30 * day)
    await utimes(lists('partial'), attempt, attempt)
    expect((await indexRefreshedAt(root))?.getTime()).toBeLessThan(Date.now() - 29 * day)
  })

  it('counts a repository without a signed release by its content', async () => {
    await writeFile(lists('srv_repo_Release'), 'x')
    expect(await indexRefreshedAt(root)).toBeInstanceOf(Date)
  })

  it.each([
    'etc/apt/preferences.d/pin',
    'etc/apt/sources.list',
    'var/lib/dpkg/status',
    'var/lib/apt/lists/a_Packages',
  ])('has another fingerprint once %s changed', async (file) => {
    await mkdir(join(root, 'var/lib/dpkg'), { recursive: true })
    const before = await aptFingerprint(root)
    expect(await aptFingerprint(root)).toBe(before)
    await writeFile(join(root, file), 'x')
    const after = await aptFingerprint(root)
    expect(after).not.toBe(before)
    await writeFile(join(root, file), 'xy')
    expect(await aptFingerprint(root)).not.toBe(after)
  })

  describe('as a fact', () => {
    const answers: Record<string, string> = {
      'apt-get': '0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n',
    }
    let asked: string[]
    let failing: boolean
    const silent = (): void => undefined
    const context = (hasApt = true) => ({
      root,
      signal: new AbortController().signal,
      log: { debug: silent, info: silent, warn: silent, error: silent },
      exists: async () => hasApt,
      readFile: async () => undefined,
      privileges: async () => [],
      excludes: async () => false,
      async run(program: string) {
        asked.push(program)
        if (failing) throw new Error('E: The list of sources could not be read.')
        return { exitCode: 0, signal: null, stdout: answers[program] ?? '', stderr: '' }
      },
    })

    beforeEach(() => {
      asked = []
      failing = false
    })

    it('says that an index is missing or old, instead of a bare "nothing pending"', async () => {
      const collect = createUpdatesCollector()
      expect(await collect(context())).toMatchObject({
        refreshedAt: null,
        pending: [],
        problem: expect.stringContaining('never fetched'),
      })
      await writeFile(lists('deb_InRelease'), 'x')
      expect((await collect(context())).problem).toBeUndefined()
      const later = createUpdatesCollector(() => Date.now() + 8 * day)
      expect((await later(context())).problem).toMatch(/since \d{4}-\d\d-\d\d; .* Run os-updates\.refresh/)
    })

    it('asks apt again after a failure only when ten minutes passed or something changed', async () => {
      let now = 0
      const collect = createUpdatesCollector(() => now)
      failing = true
      await expect(collect(context())).rejects.toThrow('sources could not be read')
      await expect(collect(context())).rejects.toThrow('sources could not be read')
      expect(asked.length).toBe(1)
      now = 600_001
      failing = false
      expect((await collect(context())).pending).toEqual([])
      expect(asked.length).toBe(2)
    })

    it('is an error where there is no apt', async () => {
      await expect(createUpdatesCollector()(context(false))).rejects.toThrow('This host has no apt')
      expect(asked).toEqual([])
    })
  })
})

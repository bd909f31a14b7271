import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { repository } from '../repository.ts'
import { createReleases, type Releases } from './releases.ts'

const openssl = spawnSync('openssl', ['version']).error === undefined
if (!openssl) console.warn('Skipped: checking a release by hand. It needs openssl: apt-get install openssl')

describe('a release', { timeout: 240_000 }, () => {
  let releases: Releases
  let folder = ''
  let said = ''

  /** As an operator makes one; answers the folder and what was printed. */
  const release = (name: string, env: Readonly<Record<string, string>>, umask: string) => {
    const out = join(releases.folder, name)
    const temporary = join(releases.folder, `temporary-${name}`)
    mkdirSync(temporary)
    const program = `umask ${umask}; exec "$0" "$@"`
    const options = [
      '--no-build',
      '--key',
      releases.key,
      '--out',
      out,
      '--version',
      '1.2.3',
      '--counter',
      '7',
    ]
    const argv = [process.execPath, join(repository, 'deploy/release/main.mjs'), ...options]
    const printed = execFileSync('sh', ['-c', program, ...argv], {
      env: { ...process.env, TMPDIR: temporary, ...env },
      encoding: 'utf8',
    })
    return { out, printed }
  }
  /** The line of the guide, in a copy of the folder. */
  const check = (line: string) => spawnSync('sh', ['-c', line], { cwd: folder, encoding: 'utf8' })

  beforeAll(() => {
    releases = createReleases()
    const made = release('one', { TZ: 'UTC', LC_ALL: 'C' }, '022')
    folder = made.out
    said = made.printed
  })

  afterAll(() => releases?.remove())

  test('made twice from the same sources is the same, byte for byte', () => {
    const { out } = release('two', { TZ: 'Pacific/Auckland', LC_ALL: 'C.UTF-8' }, '077')
    expect(readdirSync(out)).toEqual(readdirSync(folder))
    expect(readFileSync(join(out, 'SHA256SUMS'), 'utf8')).toBe(
      readFileSync(join(folder, 'SHA256SUMS'), 'utf8'),
    )
    for (const name of readdirSync(folder))
      expect(readFileSync(join(out, name)).equals(readFileSync(join(folder, name))), name).toBe(true)
  })

  test.skipIf(!openssl)(
    'is found good by the command that the guide and the program name, with openssl alone',
    () => {
      const guide = readFileSync(join(repository, 'docs/guide/install.md'), 'utf8')
      const line = /^openssl pkeyutl .*$/m.exec(guide)?.[0] ?? ''
      expect(said).toContain(line)
      expect(check(line)).toMatchObject({
        status: 0,
        stdout: expect.stringMatching(/^Signature Verified Successfully\n.*-linux-.*: OK$/ms),
      })
    },
  )

  test.skipIf(!openssl)('of which anything was changed is not', () => {
    const line = /openssl pkeyutl .*/.exec(said)?.[0] ?? ''
    const archive = readdirSync(folder).find((name) => name.startsWith('fleetupdate-agent-')) ?? ''
    const [bytes, sums] = [archive, 'SHA256SUMS'].map((name) => readFileSync(join(folder, name)))
    writeFileSync(join(folder, archive), 'changed')
    expect(check(line).status).toBe(1)
    const content = String(sums).replace(/^./, (digit) => (digit === '0' ? '1' : '0'))
    writeFileSync(join(folder, archive), bytes ?? '')
    writeFileSync(join(folder, 'SHA256SUMS'), content)
    expect(check(line)).toMatchObject({ status: 1, stdout: expect.stringContaining('Failure') })
  })
})

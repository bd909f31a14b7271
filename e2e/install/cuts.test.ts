import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { repository } from '../repository.ts'

const scripts = ['install-server.sh', 'install-agent.sh'].map((name) => join(repository, 'deploy', name))
const shellcheck = spawnSync('shellcheck', ['--version']).error === undefined

describe.each(scripts)('%s', (script) => {
  const text = readFileSync(script)

  test.skipIf(!shellcheck)('passes shellcheck', () => {
    expect(spawnSync('shellcheck', [script], { encoding: 'utf8' }).stdout).toBe('')
  })

  // With tracing, every command that a shell carries out shows.
  test.each(['sh', 'bash'])(
    'cut at every kilobyte and at each of its last bytes, it runs nothing in %s',
    (shell) => {
      const ends = [...Array(Math.floor(text.length / 1024)).keys()].map(
        (kilobytes) => (kilobytes + 1) * 1024,
      )
      for (let end = text.length - 40; end < text.length - 2; end++) ends.push(end)
      const home = mkdtempSync(join(tmpdir(), 'fleet-cut-'))
      try {
        for (const end of ends) {
          const { stdout, stderr } = spawnSync(shell, ['-x'], {
            input: text.subarray(0, end),
            encoding: 'utf8',
            cwd: home,
            env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', PS4: '+ran ' },
          })
          expect(
            stderr.split('\n').filter((line) => line.startsWith('+ran ')),
            `cut at ${end}`,
          ).toEqual([])
          expect(stdout, `cut at ${end}`).toBe('')
        }
      } finally {
        rmSync(home, { recursive: true, force: true })
      }
    },
  )
})

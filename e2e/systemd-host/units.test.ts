import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { repository } from '../repository.ts'

const analyze = '/usr/bin/systemd-analyze'
const problem = existsSync(analyze) ? undefined : 'it needs systemd-analyze: apt-get install systemd'
if (problem !== undefined) console.warn(`Skipped: the score of the units. ${problem}`)
const folder = join(repository, 'deploy/systemd')

/** As systemd itself judges a unit: 0 is a locked box, 10 is root without walls. */
function exposure(unit: string): number {
  const { stdout } = spawnSync(analyze, ['security', '--offline=yes', '--no-pager', join(folder, unit)], {
    encoding: 'utf8',
  })
  return Number(/Overall exposure level for \S+: (\d+\.\d+)/.exec(stdout)?.[1] ?? Number.NaN)
}

describe.skipIf(problem !== undefined)('the units', () => {
  test.each([
    ['orchestrator-server.service', 1.5],
    ['orchestrator-agent.service', 1.5],
  ])('%s is exposed to at most %d', (unit, most) => {
    expect(exposure(unit)).toBeLessThanOrEqual(most)
  })

  test('are understood by systemd to the last line', () => {
    const units = readdirSync(folder).map((name) => join(folder, name))
    const { stderr } = spawnSync(analyze, ['verify', '--man=no', ...units], { encoding: 'utf8' })
    // Only that the programs are not installed here may be said.
    expect(stderr.split('\n').filter((line) => line !== '' && !line.includes('is not executable'))).toEqual(
      [],
    )
  })
})

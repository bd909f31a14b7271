import { readFileSync } from 'node:fs'
import { testExecutor } from '@fleetupdate/sdk/testing'
import { describe, expect, it } from 'vitest'
import { simulate } from './apt-commands.ts'
import executor from './index.ts'
import { parseSimulation } from './simulation.ts'

const recorded = (file: string) =>
  readFileSync(new URL(`../fixtures/bookworm-mixed/${file}.txt`, import.meta.url), 'utf8')

function transcripts() {
  const simulation = parseSimulation(recorded('simulation'))
  const names = [...simulation.changes.map((change) => change.name), ...simulation.kept]
  return [
    { program: 'apt-mark', args: ['showhold'], stdout: 'fleet-held\n' },
    { ...simulate('all'), stdout: recorded('simulation') },
    { program: 'apt-cache', args: ['policy'], stdout: recorded('releases') },
    { program: 'apt-cache', args: ['policy', '--', ...names], stdout: recorded('policies') },
  ]
}

describe('apt-upgrade', () => {
  it('keeps to its contract, and plans from recorded answers of apt', async () => {
    const report = await testExecutor(executor, {
      transcripts: transcripts(),
      commands: { plan: { input: { mode: 'all' } } },
    })
    expect(report.problems).toEqual([])
    expect(report.results.plan).toMatchObject({
      packages: [
        { name: 'fleet-demo', from: '1.0', to: '2.0' },
        { name: 'fleet-library', from: null, to: '1.0' },
        { name: 'fleet-new', from: '1.0', to: '1:2.0~rc1+dfsg-1', security: true },
        { name: 'fleet-super', from: '1.0', to: '1.2', security: true },
      ],
      kept: [
        { name: 'fleet-held', reason: 'held' },
        { name: 'fleet-kept', reason: 'dependencies' },
        { name: 'fleet-phased', reason: 'phased' },
      ],
    })
    expect(report.output).toContain('fleet-new  1.0 → 1:2.0~rc1+dfsg-1  security\n')
    expect(report.output).toContain('fleet-held  stays: held\n')
  })

  it.each([
    [{ mode: 'selected' }, 'Mode "selected" needs the names of packages'],
    [{ mode: 'selected', packages: [] }, 'Mode "selected" needs the names of packages'],
    [{ mode: 'all', packages: ['curl'] }, 'Mode "all" takes no names of packages'],
  ])('says what is wrong with %j', async (input, reason) => {
    const report = await testExecutor(executor, { commands: { plan: { input }, run: { input } } })
    expect(report.problems).toEqual([
      expect.stringContaining(`plan threw: ${reason}`),
      expect.stringContaining(`run threw: ${reason}`),
    ])
  })
})

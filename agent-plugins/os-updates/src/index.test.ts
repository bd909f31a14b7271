import { readFileSync } from 'node:fs'
import { Manifest } from '@fleetupdate/sdk'
import { testExecutor } from '@fleetupdate/sdk/testing'
import { Compile } from 'typebox/compile'
import { describe, expect, it } from 'vitest'
import packageJson from '../package.json' with { type: 'json' }
import executor from './index.ts'
import { refreshArguments } from './refresh.ts'
import { parseUpgradeList } from './upgrade-list.ts'

const recorded = (file: string) =>
  readFileSync(new URL(`../fixtures/bookworm-host/${file}`, import.meta.url), 'utf8')

const simulate = [
  '--simulate',
  '--verbose-versions',
  '-o',
  'APT::Get::Show-User-Simulation-Note=false',
  'upgrade',
]

describe('os-updates', () => {
  it('keeps to its contract with the recorded answers of a real host', async () => {
    const names = parseUpgradeList(recorded('upgrade.txt')).map((item) => item.name)
    const report = await testExecutor(executor, {
      transcripts: [
        { program: 'apt-get', args: simulate, stdout: recorded('upgrade.txt') },
        { program: 'apt-mark', args: ['showhold'], stdout: recorded('showhold.txt') },
        { program: 'apt-cache', args: ['policy'], stdout: recorded('releases.txt') },
        { program: 'apt-cache', args: ['policy', '--', ...names], stdout: recorded('policies.txt') },
        { program: '/usr/bin/apt-get', args: refreshArguments },
      ],
      files: {
        '/usr/bin/apt-get': '',
        '/etc/os-release': 'NAME=Debian\n',
        '/proc/stat': 'btime 1767225600\n',
        '/proc/sys/kernel/osrelease': '6.1.0-35-amd64\n',
        '/proc/sys/kernel/hostname': 'web-1\n',
      },
      commands: { refresh: { input: {} } },
    })
    expect(report.problems).toEqual([])
    expect(report.facts.updates).toMatchObject({
      manager: 'apt',
      pending: JSON.parse(recorded('expected.json')),
    })
  })

  it('declares exactly the privilege that it uses', () => {
    const manifest: unknown = packageJson.fleetupdate
    expect(Compile(Manifest).Parse(manifest).privileges).toEqual([
      expect.objectContaining({ program: '/usr/bin/apt-get', args: [...refreshArguments] }),
    ])
  })
})

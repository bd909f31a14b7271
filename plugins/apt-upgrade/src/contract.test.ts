import { Compile } from 'typebox/compile'
import { describe, expect, it } from 'vitest'
import { aptUpgrade, UpgradeInput } from './contract.ts'

describe('the contract of apt-upgrade', () => {
  const input = Compile(UpgradeInput)

  it.each([
    { mode: 'all' },
    { mode: 'security' },
    { mode: 'selected', packages: ['libc6:i386', 'g++', 'python3.11', 'a2'] },
  ])('takes %j', (value) => {
    expect(input.Check(value)).toBe(true)
  })

  it.each([
    {},
    { mode: 'everything' },
    { mode: 'all', force: true },
    { mode: 'selected', packages: 'curl' },
    { mode: 'selected', packages: ['-o', 'x'] },
    { mode: 'selected', packages: ['curl-'] },
    { mode: 'selected', packages: ['*'] },
    { mode: 'selected', packages: ['curl=1.0'] },
    { mode: 'selected', packages: ['Curl'] },
    { mode: 'selected', packages: ['curl\nzip'] },
  ])('refuses %j', (value) => {
    expect(input.Check(value)).toBe(false)
  })

  it('runs in the lane of all package operations, asks before a run, and stops it only where that is safe', () => {
    expect(aptUpgrade.commands.plan.lane).toBe('packages')
    expect(aptUpgrade.commands.run).toMatchObject({ lane: 'packages', dangerous: true, cancel: 'safe-point' })
  })
})

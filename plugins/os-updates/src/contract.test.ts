import { Compile } from 'typebox/compile'
import { describe, expect, it } from 'vitest'
import { osUpdates, type PendingPackage, Updates } from './contract.ts'

const refreshedAt = '2026-11-23T05:00:00.000Z'
const item: PendingPackage = {
  name: 'curl',
  current: '1.0',
  candidate: '2.0',
  origin: 'Debian',
  security: false,
  held: false,
  phased: false,
}

function facets(updates: Updates | undefined) {
  const { outdated, pending, security } = osUpdates.facets
  const facts = updates === undefined ? {} : { updates }
  return { outdated: outdated?.(facts), pending: pending?.(facts), security: security?.(facts) }
}

function updates(pending: readonly PendingPackage[], more: Partial<Updates> = {}): Updates {
  return { manager: 'apt', refreshedAt, pending: [...pending], ...more }
}

describe('facets of os-updates', () => {
  it('says nothing about a host whose updates were never observed', () => {
    expect(facets(undefined)).toEqual({ outdated: undefined, pending: undefined, security: undefined })
  })

  it('says nothing while the index was never fetched', () => {
    const value = updates([], { refreshedAt: null, problem: 'Run os-updates.refresh.' })
    expect(facets(value)).toEqual({ outdated: undefined, pending: undefined, security: undefined })
  })

  it('calls a host with a fresh index and nothing pending up to date', () => {
    expect(facets(updates([]))).toEqual({ outdated: false, pending: 0, security: 0 })
  })

  it('does not turn an old index into a zero, but believes what it still shows', () => {
    const problem = 'The package index is 9 days old.'
    expect(facets(updates([], { problem }))).toEqual({
      outdated: undefined,
      pending: undefined,
      security: undefined,
    })
    expect(facets(updates([item], { problem }))).toEqual({ outdated: true, pending: 1, security: undefined })
  })

  it('counts held and phased packages as pending, but not as outdated', () => {
    const value = updates([
      { ...item, held: true, security: true },
      { ...item, phased: true },
    ])
    expect(facets(value)).toEqual({ outdated: false, pending: 2, security: 1 })
  })

  it('counts what was left out of the list', () => {
    expect(facets(updates([{ ...item, security: true }, item], { omitted: 40 }))).toEqual({
      outdated: true,
      pending: 42,
      security: 1,
    })
  })

  it('describes a fact that other members may join later', () => {
    const check = Compile(Updates)
    expect(check.Check({ ...updates([item]), later: 1 })).toBe(true)
    expect(check.Check({ ...updates([item]), refreshedAt: 'yesterday' })).toBe(false)
    expect(check.Check({ ...updates([]), pending: [{ ...item, held: 'no' }] })).toBe(false)
  })
})

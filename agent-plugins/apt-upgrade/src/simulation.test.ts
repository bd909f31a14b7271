import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { planHash } from './plan.ts'
import { parsePolicies } from './policy.ts'
import { parseSimulation } from './simulation.ts'

const recorded = (name: string, file: string) =>
  readFileSync(new URL(`../fixtures/${name}/${file}.txt`, import.meta.url), 'utf8')

describe('a recorded simulation of apt-get', () => {
  it.each(['bookworm-mixed', 'trixie-mixed'])('tells what changes and what stays (%s)', (name) => {
    const simulation = parseSimulation(recorded(name, 'simulation'))
    expect(simulation.changes).toEqual([
      { name: 'fleet-demo', from: '1.0', to: '2.0' },
      { name: 'fleet-library', from: null, to: '1.0' },
      { name: 'fleet-new', from: '1.0', to: '1:2.0~rc1+dfsg-1' },
      { name: 'fleet-super', from: '1.0', to: '1.2' },
    ])
    expect([...simulation.kept].sort()).toEqual(['fleet-held', 'fleet-kept', 'fleet-phased'])
    expect(simulation.removals).toEqual([])
  })

  it('knows what apt 3 defers due to phasing', () => {
    expect(parseSimulation(recorded('trixie-mixed', 'simulation')).deferred).toEqual(['fleet-phased'])
  })

  it('reads all 118 upgrades of a real host', () => {
    const { changes } = parseSimulation(recorded('bookworm-host', 'simulation'))
    expect(changes.length).toBe(118)
    expect(changes.every((change) => change.from !== null && change.to !== '')).toBe(true)
    expect(changes).toContainEqual({
      name: 'libpam-modules-bin',
      from: '1.5.2-6+deb12u1',
      to: '1.5.2-6+deb12u2',
    })
  })

  it.each(['bookworm-current', 'trixie-current'])(
    'finds nothing where nothing is to be done (%s)',
    (name) => {
      expect(parseSimulation(recorded(name, 'simulation'))).toEqual({
        changes: [],
        removals: [],
        kept: [],
        deferred: [],
      })
    },
  )

  it('reads removals', () => {
    expect(
      parseSimulation('Remv old-thing [1.0]\n0 upgraded, 0 newly installed, 1 to remove\n').removals,
    ).toEqual(['old-thing'])
  })

  it.each(['', 'Es wird aktualisiert\n'])('refuses an answer that it does not understand', (text) => {
    expect(() => parseSimulation(text)).toThrow(/not understood/)
  })

  it('refuses an answer with fewer packages than apt counted', () => {
    expect(() =>
      parseSimulation('2 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n'),
    ).toThrow()
  })
})

describe('recorded policies', () => {
  const policies = (name: string) => parsePolicies(recorded(name, 'releases'), recorded(name, 'policies'))

  it.each(['bookworm-mixed', 'trixie-mixed'])('tell security, also superseded, and phasing (%s)', (name) => {
    const found = policies(name)
    const where = (wanted: 'security' | 'phased') =>
      [...found].flatMap(([key, policy]) => (policy[wanted] ? [key] : [])).sort()
    expect(where('security')).toEqual(['fleet-held', 'fleet-new', 'fleet-super'])
    expect(where('phased')).toEqual(['fleet-phased'])
  })

  it('call every update security that the simulation of a real host takes from a security archive', () => {
    const found = policies('bookworm-host')
    const lines = recorded('bookworm-host', 'simulation').split('\n')
    const fromSecurity = lines.filter((line) => /^Inst .*Debian-Security:/.test(line))
    expect(fromSecurity.length).toBeGreaterThan(20)
    for (const line of fromSecurity) expect(found.get(line.split(' ')[1]!)?.security).toBe(true)
  })
})

describe('the hash of a plan', () => {
  const changes = parseSimulation(recorded('bookworm-mixed', 'simulation')).changes

  it('is the same for the same changes in any order', () => {
    expect(planHash([...changes].reverse())).toBe(planHash(changes))
  })

  it('differs where a version, a package or a new dependency differs', () => {
    const others = [changes.slice(1), changes.map((change) => ({ ...change, to: `${change.to}+b1` })), []]
    for (const other of others) expect(planHash(other)).not.toBe(planHash(changes))
  })
})

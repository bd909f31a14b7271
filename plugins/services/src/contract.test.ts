import { Compile } from 'typebox/compile'
import { describe, expect, test } from 'vitest'
import { services } from './contract.ts'

describe('the contract of services', () => {
  test('counts failed units, and tells "none" apart from "not known"', () => {
    const failed = services.facets.failed
    expect(failed?.({})).toBeUndefined()
    expect(failed?.({ failed: [] })).toBe(0)
    expect(failed?.({ failed: [{ unit: 'nginx.service', description: 'nginx' }] })).toBe(1)
  })

  test.each(['-h', '--version', 'a b', 'a;b', '*', '', '$(id)', 'a/b', 'a\n', 'x'.repeat(256)])(
    'does not take %j as a unit',
    (unit) => {
      expect(Compile(services.commands.restart.input).Check({ unit })).toBe(false)
    },
  )

  test.each(['ssh', 'nginx.service', 'getty@tty1.service', 'dev-disk-by\\x2duuid.device'])(
    'takes %j',
    (unit) => {
      expect(Compile(services.commands.restart.input).Check({ unit })).toBe(true)
    },
  )
})

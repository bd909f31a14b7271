import type { ArgumentRule } from '@fleetupdate/sdk'
import { describe, expect, test } from 'vitest'
import { matchesArguments, matchPrivilege } from './match.ts'
import { sudoersLine } from './sudoers.ts'

const install: ArgumentRule[] = [
  '-y',
  { pattern: 'install|upgrade' },
  '--',
  { rest: '[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?', max: 3 },
]

describe('the arguments of a privilege', () => {
  test.each([
    [['-y', 'install', '--', 'curl']],
    [['-y', 'upgrade', '--', 'curl:amd64', 'g++-12', 'a.b']],
    [['-y', 'install', '--']],
  ])('let %j through', (args) => expect(matchesArguments(install, args)).toBe(true))

  test.each([
    [[]],
    [['-y']],
    [['install', '-y', '--', 'curl']],
    [['-y', 'install', 'curl']],
    [['-y', 'install ', '--', 'curl']],
    [['-y', 'xinstall', '--', 'curl']],
    [['-y', 'install\n', '--', 'curl']],
    [['-y', 'remove', '--', 'curl']],
    [['-y', 'install', '--', '-o', 'APT::Update::Pre-Invoke::=id']],
    [['-y', 'install', '--', '--allow-unauthenticated']],
    [['-y', 'install', '--', './evil.deb']],
    [['-y', 'install', '--', '/tmp/evil.deb']],
    [['-y', 'install', '--', 'curl; id']],
    [['-y', 'install', '--', 'curl\nevil']],
    [['-y', 'install', '--', 'curl\n']],
    [['-y', 'install', '--', 'curl\0']],
    [['-y', 'install', '--', '']],
    [['-y', 'install', '--', 'cürl']],
    [['-y', 'install', '--', 'aa', 'bb', 'cc', 'dd']],
    [['-y', 'install', '--', `a${'a'.repeat(5000)}`]],
    [['-y', 'install', '-o', 'x', '--', 'curl']],
  ])('keep %j out', (args) => expect(matchesArguments(install, args)).toBe(false))

  test('must all be covered', () => {
    expect(matchesArguments([], [])).toBe(true)
    expect(matchesArguments([], ['x'])).toBe(false)
    expect(matchesArguments(['a'], ['a', 'b'])).toBe(false)
  })

  test('cannot be matched by a rest that is not last, nor by half an alternative', () => {
    expect(matchesArguments([{ rest: '.*' }, 'b'], ['a', 'b'])).toBe(false)
    expect(matchesArguments([{ pattern: 'a|b' }], ['ax'])).toBe(false)
    expect(matchesArguments([{ pattern: 'a|b' }], ['xb'])).toBe(false)
  })

  test('belong to their program', () => {
    const privileges = [{ id: 'one', reason: '', program: '/usr/bin/apt-get', args: ['update'] }]
    expect(matchPrivilege(privileges, '/usr/bin/apt-get', ['update'])?.id).toBe('one')
    expect(matchPrivilege(privileges, '/tmp/apt-get', ['update'])).toBeUndefined()
    expect(matchPrivilege(privileges, 'apt-get', ['update'])).toBeUndefined()
  })
})

test('the sudoers line allows one program and no argument', () => {
  expect(sudoersLine()).toBe(
    'orchestrator ALL=(root) NOPASSWD: /opt/orchestrator/agent/current/root-helper ""',
  )
})

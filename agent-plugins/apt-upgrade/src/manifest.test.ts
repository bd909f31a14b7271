import { type ArgumentRule, Manifest } from '@fleetupdate/sdk'
import { Compile } from 'typebox/compile'
import { describe, expect, it } from 'vitest'
import packageJson from '../package.json' with { type: 'json' }
import {
  download,
  type Invocation,
  markAutomatic,
  packageEnvironment,
  reinstall,
  repairDependencies,
  repairDpkg,
  upgrade,
} from './apt-commands.ts'

const manifest: unknown = packageJson.fleetupdate
const privileges = Compile(Manifest).Parse(manifest).privileges ?? []
const names = ['libc6:i386', 'g++', 'python3.11']

function matches(rules: readonly ArgumentRule[], args: readonly string[]): boolean {
  const rest = rules.findIndex((rule) => typeof rule === 'object' && 'rest' in rule)
  const fixed = rest === -1 ? rules : rules.slice(0, rest)
  const last = rules[rest]
  const tail = args.slice(fixed.length)
  if (args.length < fixed.length || (last === undefined && tail.length > 0)) return false
  const restOk = (arg: string) =>
    typeof last === 'object' && 'rest' in last && new RegExp(last.rest).test(arg)
  return tail.every(restOk) && fixed.every((rule, index) => matchesOne(rule, args[index] ?? ''))
}

function matchesOne(rule: ArgumentRule, arg: string): boolean {
  if (typeof rule === 'string') return rule === arg
  return 'pattern' in rule && new RegExp(rule.pattern).test(arg)
}

function matching({ program, args }: Invocation): string[] {
  return privileges
    .filter((privilege) => privilege.program === program && matches(privilege.args, args))
    .map((privilege) => privilege.id)
}

describe('the privileges of apt-upgrade', () => {
  it.each([
    ['repair-dpkg', repairDpkg],
    ['repair-dependencies', repairDependencies],
    ['download-all', download('all')],
    ['download-selected', download(names)],
    ['upgrade-all', upgrade('all')],
    ['upgrade-selected', upgrade(names)],
    ['reinstall', reinstall(names)],
    ['restore-marks', markAutomatic(names)],
  ])('cover exactly what the executor starts: %s', (id, invocation) => {
    expect(matching(invocation)).toEqual([id])
  })

  it('fix the environment that the executor asks for', () => {
    for (const privilege of privileges) expect(privilege.env).toEqual(packageEnvironment)
  })

  it.each([
    '-oAPT::Update::Pre-Invoke::=id',
    '--allow-downgrades',
    '*',
    'curl-',
    'curl=1.0',
    'curl/sid',
    '../x',
    '?all',
    '',
  ])('refuse %j as the name of a package', (name) => {
    expect(matching(upgrade(['curl', name]))).toEqual([])
    expect(matching(markAutomatic([name]))).toEqual([])
    expect(matching(reinstall([name]))).toEqual([])
  })

  it('refuse a further option', () => {
    const { program, args } = upgrade('all')
    expect(matching({ program, args: [...args, '--allow-remove-essential'] })).toEqual([])
    expect(matching({ program, args: ['-o', 'DPkg::Pre-Invoke::=id', ...args] })).toEqual([])
  })
})

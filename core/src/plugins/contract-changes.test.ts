import { type AnyContract, defineContract, Type } from '@fleetupdate/sdk'
import { describe, expect, test } from 'vitest'
import { breakingChanges, contractBreak } from './contract-changes.ts'

const closed = { additionalProperties: false }
const input = Type.Object(
  { path: Type.String({ maxLength: 100 }), deep: Type.Optional(Type.Boolean()) },
  closed,
)
const before = defineContract('disks', {
  facts: { used: Type.Object({ percent: Type.Integer(), mounts: Type.Array(Type.String()) }) },
  facets: { full: () => true },
  commands: { measure: { input, result: Type.Object({ percent: Type.Integer() }) }, check: {} },
})
const withCommands = (commands: object): AnyContract => ({
  ...before,
  commands: { ...before.commands, ...commands },
})
const withInput = (schema: object): AnyContract =>
  withCommands({ measure: { ...before.commands.measure, input: schema } })

describe('what a contract may become', () => {
  test.each<[string, AnyContract]>([
    ['the same', before],
    [
      'with one more of each',
      {
        ...before,
        facts: { ...before.facts, inodes: Type.Integer() },
        commands: { ...before.commands, scan: {} },
      },
    ],
    [
      'with an optional member of an input',
      withInput(Type.Object({ ...input.properties, fast: Type.Optional(Type.Boolean()) }, closed)),
    ],
    [
      'with wider bounds',
      withInput(Type.Object({ ...input.properties, path: Type.String({ maxLength: 500 }) }, closed)),
    ],
    [
      'with more in a result',
      withCommands({
        measure: { input, result: Type.Object({ percent: Type.Integer(), inodes: Type.Integer() }) },
      }),
    ],
  ])('%s', (_name, after) => {
    expect(breakingChanges(before, after)).toEqual([])
  })

  test.each<[string, AnyContract, RegExp]>([
    ['a fact goes', { ...before, facts: {} }, /the fact "used" is gone/],
    ['a facet goes', { ...before, facets: {} }, /the facet "full" is gone/],
    ['a command goes', { ...before, commands: { check: {} } }, /the command "measure" is gone/],
    [
      'a fact changes its type',
      { ...before, facts: { used: Type.Integer() } },
      /the fact "used" was object, and is integer/,
    ],
    [
      'an item changes its type',
      {
        ...before,
        facts: { used: Type.Object({ percent: Type.Integer(), mounts: Type.Array(Type.Integer()) }) },
      },
      /an item of "mounts" of the fact "used" was string/,
    ],
    [
      'a member becomes needed',
      withInput(Type.Object({ path: input.properties.path, deep: Type.Boolean() }, closed)),
      /"deep" of the input of "measure" is now needed/,
    ],
    [
      'a member is taken away',
      withInput(Type.Object({ path: input.properties.path }, closed)),
      /"deep" of the input of "measure" is gone/,
    ],
    [
      'bounds become narrower',
      withInput(Type.Object({ ...input.properties, path: Type.String({ maxLength: 3 }) }, closed)),
      /has narrower bounds/,
    ],
    [
      'a result may lack a member',
      withCommands({
        measure: { input, result: Type.Object({ percent: Type.Optional(Type.Integer()) }) },
      }),
      /"percent" of the result of "measure" may now be missing/,
    ],
  ])('not: %s', (_name, after, problem) => {
    expect(breakingChanges(before, after)).toEqual([expect.stringMatching(problem)])
    const old = { version: '1.4.0', contract: before }
    expect(contractBreak(old, { version: '1.5.0', contract: after })).toMatch(
      /breaks with version 1\.4\.0: .*\(2\.0\.0\)$/,
    )
    expect(contractBreak(old, { version: '2.0.0', contract: after })).toBeUndefined()
    expect(contractBreak(old, { version: '1.4.0', contract: after })).toBeUndefined()
    const young = { version: '0.4.1', contract: before }
    expect(contractBreak(young, { version: '0.4.2', contract: after })).toMatch(/\(0\.5\.0\)$/)
    expect(contractBreak(young, { version: '0.5.0', contract: after })).toBeUndefined()
  })
})

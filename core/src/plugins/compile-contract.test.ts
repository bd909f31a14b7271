import { defineContract, Type } from '@fleetupdate/sdk'
import { describe, expect, test } from 'vitest'
import { compileContract } from './compile-contract.ts'

const contract = defineContract('disk', {
  facts: {
    usage: Type.Object({ percent: Type.Number(), mounts: Type.Array(Type.Object({ path: Type.String() })) }),
  },
  facets: {
    percent: (facts) => facts.usage?.percent,
    broken: () => {
      throw new Error('no')
    },
  },
  commands: {
    clean: { input: Type.Object({ path: Type.String() }, { additionalProperties: false }) },
    check: {},
  },
})

describe('compileContract', () => {
  const compiled = compileContract(contract)

  test('drops members of a fact that the contract does not know, at every depth', () => {
    const value = { percent: 5, extra: 1, mounts: [{ path: '/', more: true }] }
    expect(compiled.contract.checkFact('usage', value)).toEqual({
      value: { percent: 5, mounts: [{ path: '/' }] },
    })
  })

  test('names what does not fit in a fact, and does not know other facts', () => {
    expect(compiled.contract.checkFact('usage', { percent: 'full', mounts: [] })).toEqual({
      problems: [expect.stringContaining('/percent')],
    })
    expect(compiled.contract.checkFact('other', 1)).toBeUndefined()
  })

  test('computes facets from the known facts; what cannot be told or throws is null', () => {
    expect(compiled.contract.facets({ usage: { percent: 5, mounts: [] } })).toEqual({
      'disk.percent': 5,
      'disk.broken': null,
    })
    expect(compiled.contract.facets({})).toEqual({ 'disk.percent': null, 'disk.broken': null })
  })

  test('refuses unknown input members and any input where none is taken', () => {
    expect(compiled.commands.get('clean')?.inputProblems({ path: '/', force: true })).not.toEqual([])
    expect(compiled.commands.get('clean')?.inputProblems({ path: '/' })).toEqual([])
    expect(compiled.commands.get('check')?.inputProblems({ anything: 1 })).not.toEqual([])
    expect(compiled.commands.get('check')?.inputProblems({})).toEqual([])
  })

  test('closes an input that its contract left open, and refuses one that is no object', () => {
    const open = defineContract('open', {
      commands: { run: { input: Type.Object({ a: Type.Optional(Type.String()) }) } },
    })
    expect(compileContract(open).commands.get('run')?.inputProblems({ b: 1 })).not.toEqual([])
    const text = defineContract('text', { commands: { run: { input: Type.String() } } })
    expect(() => compileContract(text)).toThrow('the input of "run": it must be an object schema')
  })
})

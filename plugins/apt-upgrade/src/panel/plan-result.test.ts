import { expect, test } from 'vitest'
import { addUp, addUpKept, planResult } from './plan-result.ts'

const plan = (packages: object[], kept: object[] = []) => planResult({ planHash: 'h', packages, kept })!

test('changes of many hosts add up to one line a package, security first', () => {
  const plans = [
    plan([
      { name: 'curl', from: '1', to: '2' },
      { name: 'openssl', from: '3.0', to: '3.1', security: true },
    ]),
    plan([{ name: 'curl', from: '1.5', to: '2' }]),
  ]
  expect(addUp(plans)).toEqual([
    { name: 'openssl', from: ['3.0'], to: ['3.1'], security: true, hosts: 1 },
    { name: 'curl', from: ['1', '1.5'], to: ['2'], security: false, hosts: 2 },
  ])
})

test('held and phased packages are told apart', () => {
  const kept = [
    { name: 'a', reason: 'held' },
    { name: 'a', reason: 'phased' },
  ]
  expect(addUpKept([plan([], kept), plan([], [{ name: 'a', reason: 'held' }])])).toEqual([
    { name: 'a', reason: 'held', hosts: 2 },
    { name: 'a', reason: 'phased', hosts: 1 },
  ])
})

test('what is no plan is not taken for one', () => {
  expect(planResult(null)).toBeUndefined()
  expect(planResult({ packages: 'all of them' })).toBeUndefined()
  expect(planResult({ packages: [null, 3, { name: 4, to: {} }] })?.packages).toEqual([
    { name: '4', from: null, to: '[object Object]', security: false },
  ])
})

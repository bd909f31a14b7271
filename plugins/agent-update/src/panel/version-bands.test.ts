import { expect, test } from 'vitest'
import { bandsOf } from './version-bands.ts'

const fleet = (versions: Record<string, number>, offered: string | null = null) => ({
  versions: Object.entries(versions).map(([version, agents]) => ({ version: version || null, agents })),
  total: Object.values(versions).reduce((sum, agents) => sum + agents, 0),
  ...{ offered, behind: 0, cannot: 0 },
})

test('the offered version comes first, and shares add up to the whole', () => {
  const bands = bandsOf(fleet({ '1.0': 6, '': 1, '2.0': 3 }, '2.0'))
  expect(bands.map(({ key, kind, percent }) => [key, kind, percent])).toEqual([
    ['2.0', 'offered', 30],
    ['1.0', 'other', 60],
    ['', 'unknown', 10],
  ])
})

test('beyond six versions the rarest are one band', () => {
  const bands = bandsOf(fleet({ a: 9, b: 8, c: 7, d: 6, e: 5, f: 4, g: 3 }))
  expect(bands.map(({ key, agents }) => [key, agents])).toEqual([
    ...[
      ['a', 9],
      ['b', 8],
      ['c', 7],
      ['d', 6],
      ['e', 5],
    ],
    ['*', 7],
  ])
})

test('a fleet without agents has none', () => {
  expect(bandsOf(fleet({}))).toEqual([])
})

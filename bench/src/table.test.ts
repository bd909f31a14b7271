import { describe, expect, test } from 'vitest'
import { alternate, median } from './rounds.ts'
import { formatTable, percentile } from './table.ts'

describe('the table', () => {
  test('says which bar was missed, and the part of the ceiling where there is one', () => {
    const [, fast, slow] = formatTable([
      { name: 'fast', reached: '70/s', ratio: 0.7, bar: '≥ 60 %', ok: true },
      { name: 'slow', reached: '9 s', bar: '≤ 5 s', ok: false },
    ]).split('\n')
    expect(fast).toMatch(/^fast +70\/s +70 % +≥ 60 % +ok/)
    expect(slow).toMatch(/^slow +9 s +≤ 5 s +BELOW/)
  })
})

describe('figures', () => {
  test('a percentile is a value that was measured', () => {
    const values = Array.from({ length: 200 }, (_, i) => 200 - i)
    expect([percentile(values, 0.5), percentile(values, 0.99), percentile([7], 0.99)]).toEqual([100, 198, 7])
  })

  test('a ratio is the median of the rounds, and the first round does not count', async () => {
    const own = [1000, 10, 30, 20]
    const bare = [1, 20, 40, 100]
    const take = (values: number[]) => async () => values.shift() ?? Number.NaN
    expect(await alternate(3, take(own), take(bare))).toEqual({ reached: median([10, 30, 20]), ratio: 0.5 })
  })
})

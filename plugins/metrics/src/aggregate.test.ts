import { describe, expect, test } from 'vitest'
import { aggregate } from './aggregate.ts'

const one = (minute: number, value: number | null) => ({ minute, n: 1, avg: value, min: value, max: value })

describe('putting spans together', () => {
  test('weighs averages by their samples and keeps the extremes', () => {
    const spans = [
      { minute: 0, n: 10, avg: 10, min: 1, max: 50 },
      { minute: 10, n: 2, avg: 70, min: 60, max: 80 },
    ]
    expect(aggregate(spans, 60)).toEqual([{ minute: 0, n: 12, avg: 20, min: 1, max: 80 }])
  })

  test('leaves a gap where there was nothing', () => {
    expect(aggregate([one(0, 1), one(25, 3)], 10).map(({ minute }) => minute)).toEqual([0, 20])
  })

  test('does not take an unknown value for 0', () => {
    expect(aggregate([one(0, null), one(1, 8)], 10)).toEqual([{ minute: 0, n: 2, avg: 8, min: 8, max: 8 }])
    expect(aggregate([one(0, null)], 10)).toEqual([{ minute: 0, n: 1, avg: null, min: null, max: null }])
  })

  test('answers in order whatever the order was', () => {
    expect(aggregate([one(30, 1), one(5, 1), one(12, 1)], 10).map(({ minute }) => minute)).toEqual([
      0, 10, 30,
    ])
  })
})

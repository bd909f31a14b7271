import { describe, expect, test } from 'vitest'
import { seriesRange } from './series-range.ts'

const nowMs = Date.parse('2026-11-23T12:00:00.000Z')
const now = nowMs / 60_000
const hours = (count: number): string => String(nowMs - count * 3_600_000)

describe('the range of a series', () => {
  test('is the last hour, a minute a point, by default', () => {
    expect(seriesRange({}, nowMs)).toEqual({ from: now - 60, to: now, step: 1, tier: 'samples' })
  })

  test.each([
    ['a day', 24, 'samples', 2],
    ['a week', 7 * 24, 'rollup_10m', 20],
    ['90 days', 90 * 24, 'rollup_1h', 180],
    ['ten years', 3650 * 24, 'rollup_1h', 5280],
  ])('of %s takes the finest tier that reaches back and at most 1,000 points', (_, back, tier, step) => {
    const range = seriesRange({ from: hours(back) }, nowMs)
    expect(range).toMatchObject({ tier, step })
    expect(Math.ceil((range.to - range.from) / range.step)).toBeLessThanOrEqual(1000)
  })

  test.each([
    ['600', 10],
    ['10m', 10],
    ['2h', 120],
    ['90s', 2],
    ['1', 1],
  ])('takes the step %s', (step, minutes) => {
    expect(seriesRange({ step }, nowMs).step).toBe(minutes)
  })

  test('never has more than 1,000 points, whatever step is asked', () => {
    expect(seriesRange({ from: hours(24), step: '60' }, nowMs).step).toBe(2)
  })

  test('takes times as milliseconds, seconds and ISO 8601', () => {
    for (const from of [String(nowMs - 600_000), String(nowMs / 1000 - 600), '2026-11-23T11:50:00Z'])
      expect(seriesRange({ from }, nowMs).from).toBe(now - 10)
  })

  test.each([
    [{ from: 'yesterday' }, 'FLT_METRICS_TIME'],
    [{ from: '-5' }, 'FLT_METRICS_TIME'],
    [{ to: ['1', '2'] }, 'FLT_METRICS_TIME'],
    [{ from: hours(1), to: hours(2) }, 'FLT_METRICS_TIME'],
    [{ from: hours(1), to: hours(1) }, 'FLT_METRICS_TIME'],
    [{ step: '0' }, 'FLT_METRICS_STEP'],
    [{ step: '-1' }, 'FLT_METRICS_STEP'],
    [{ step: '5 minutes' }, 'FLT_METRICS_STEP'],
    [{ step: '1e3' }, 'FLT_METRICS_STEP'],
  ])('refuses %j', (query, code) => {
    expect(() => seriesRange(query, nowMs)).toThrow(expect.objectContaining({ code, status: 400 }))
  })
})

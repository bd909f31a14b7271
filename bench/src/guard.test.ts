import { expect, test } from 'vitest'
import { regressions } from './guard.ts'

const figure = (name: string, ratio?: number) => ({
  ...{ name, reached: '', bar: '', ok: true },
  ...(ratio === undefined ? {} : { ratio }),
})

test('a ratio near the committed one passes, whatever the absolute figure is', () => {
  expect(regressions([figure('frames', 0.6), figure('other', 0.01)], { frames: 0.8 })).toEqual([])
})

test('a clear fall, and a figure that is gone, are told', () => {
  expect(regressions([figure('frames', 0.5)], { frames: 0.8 })).toEqual([expect.stringContaining('50 %')])
  expect(regressions([figure('frames')], { frames: 0.8 })).toEqual([expect.stringContaining('not measured')])
  expect(regressions([], { frames: 0.8 })).toEqual([expect.stringContaining('not measured')])
})

import { expect, test } from 'vitest'
import { slopePerHour } from './slope.ts'

test('a line has its own slope, noise around a level has none', () => {
  const line = Array.from({ length: 10 }, (_, i) => ({ atMs: i * 360_000, bytes: 100 + i * 5 }))
  expect(slopePerHour(line, 'bytes')).toBeCloseTo(50)
  const level = Array.from({ length: 10 }, (_, i) => ({ atMs: i * 360_000, bytes: i % 2 }))
  expect(Math.abs(slopePerHour(level, 'bytes'))).toBeLessThan(1)
  expect(slopePerHour([{ atMs: 1, bytes: 1 }], 'bytes')).toBe(0)
})

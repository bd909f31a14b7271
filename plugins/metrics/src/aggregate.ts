import { floorTo } from './tiers.ts'

/** A span of one series: average, least and most of `n` samples; null where none had a value. */
export interface Span {
  readonly minute: number
  readonly n: number
  readonly avg: number | null
  readonly min: number | null
  readonly max: number | null
}

/** Puts spans together into spans of `step` minutes, in order; where there was nothing there is no span. Pure. */
export function aggregate(spans: Iterable<Span>, step: number): Span[] {
  const sums = new Map<number, { n: number; known: number; sum: number; min: number; max: number }>()
  for (const { minute, n, avg, min, max } of spans) {
    const start = floorTo(minute, step)
    const sum = sums.get(start) ?? { n: 0, known: 0, sum: 0, min: Infinity, max: -Infinity }
    sums.set(start, sum)
    sum.n += n
    if (avg === null) continue
    sum.known += n
    sum.sum += avg * n
    sum.min = Math.min(sum.min, min ?? avg)
    sum.max = Math.max(sum.max, max ?? avg)
  }
  return [...sums]
    .sort(([a], [b]) => a - b)
    .map(([minute, { n, known, sum, min, max }]) =>
      known === 0
        ? { minute, n, avg: null, min: null, max: null }
        : { minute, n, avg: sum / known, min, max },
    )
}

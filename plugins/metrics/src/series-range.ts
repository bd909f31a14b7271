import { metricsError } from './errors.ts'
import { floorTo, minuteMs, type Tier, tiers, toMinute } from './tiers.ts'

/** What to read: minutes from `from` up to and without `to`, in spans of `step` minutes, from one tier. */
export interface SeriesRange {
  readonly from: number
  readonly to: number
  readonly step: number
  readonly tier: Tier
}

export interface RangeQuery {
  readonly from?: unknown
  readonly to?: unknown
  readonly step?: unknown
}

const mostPoints = 1000
const defaultMs = 60 * minuteMs
const units: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400 }

/**
 * Reads a query and chooses the tier that still reaches back to `from`, and a step of at least what was asked that makes at most
 * 1,000 points. Throws FLT_METRICS_TIME or FLT_METRICS_STEP. Default: the last hour.
 */
export function seriesRange(query: RangeQuery, nowMs: number): SeriesRange {
  const toMs = readTime('to', query.to) ?? nowMs
  const fromMs = readTime('from', query.from) ?? toMs - defaultMs
  if (fromMs >= toMs) throw metricsError('FLT_METRICS_TIME', { name: 'from', value: text(query.from) })
  const asked = readStep(query.step)
  const to = Math.ceil(toMs / minuteMs)
  const tier = tierFor(toMinute(fromMs), toMinute(nowMs), asked)
  const base = tiers[tier].step
  // One span may begin before `from`.
  const least = (to - toMinute(fromMs)) / (mostPoints - 1)
  const step = Math.max(Math.ceil(Math.max(asked, least) / base), 1) * base
  return { from: floorTo(toMinute(fromMs), step), to, step, tier }
}

function tierFor(from: number, now: number, step: number): Tier {
  if (from >= now - tiers.samples.keep && step < tiers.rollup_1h.step) return 'samples'
  if (from >= now - tiers.rollup_10m.keep) return 'rollup_10m'
  return 'rollup_1h'
}

/** Unix milliseconds, or seconds where the number is too small for them, or ISO 8601. */
function readTime(name: string, value: unknown): number | undefined {
  if (value === undefined || value === '') return undefined
  const refused = (): Error => metricsError('FLT_METRICS_TIME', { name, value: text(value) })
  if (typeof value !== 'string') throw refused()
  if (/^\d{1,14}$/.test(value)) {
    const number = Number(value)
    return number < 100_000_000_000 ? number * 1000 : number
  }
  const time = /^\d{4}-\d\d-\d\d/.test(value) ? Date.parse(value) : Number.NaN
  if (Number.isNaN(time) || time < 0) throw refused()
  return time
}

/** Minutes; 0 where none was asked. */
function readStep(value: unknown): number {
  if (value === undefined || value === '') return 0
  const [, digits, unit] = (typeof value === 'string' && /^(\d{1,8})([smhd]?)$/.exec(value)) || []
  const seconds = Number(digits) * (units[unit ?? ''] ?? Number.NaN)
  if (!(seconds > 0)) throw metricsError('FLT_METRICS_STEP', { value: text(value) })
  return seconds / 60
}

function text(value: unknown): string {
  return String(value).slice(0, 64)
}

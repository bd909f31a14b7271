/** How long series are kept, and how finely; all in minutes. */
export const tiers = {
  samples: { step: 1, keep: 24 * 60 },
  rollup_10m: { step: 10, keep: 7 * 24 * 60 },
  rollup_1h: { step: 60, keep: 90 * 24 * 60 },
} as const

export type Tier = keyof typeof tiers

export const minuteMs = 60_000

export function toMinute(timeMs: number): number {
  return Math.floor(timeMs / minuteMs)
}

/** The last boundary of a step at or before a minute. */
export function floorTo(minute: number, step: number): number {
  return Math.floor(minute / step) * step
}

import type { Target } from './target.ts'

/** How much is tried: `smoke` within seconds for `npm test`, `full` as the promises ask. */
export type Size = 'smoke' | 'full'

export interface Finding {
  readonly passed: boolean
  /** The figure reached, in the words of the required one. */
  readonly reached: string
}

/** One way to attack a running server. */
export interface Attack {
  /** Kebab-case, for --only. */
  readonly name: string
  readonly title: string
  /** The figure that is promised. */
  readonly required: string
  run(target: Target, size: Size): Promise<Finding>
}

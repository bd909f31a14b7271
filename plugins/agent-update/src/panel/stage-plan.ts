import { type StageSize, stagesOf } from '../stages.ts'

/** A stage as the form has it: so many agents more, or so many percent of all in total. */
export interface StageDraft {
  readonly value: number
  readonly unit: 'agents' | 'percent'
}

export const usualDraft: readonly StageDraft[] = [
  { value: 1, unit: 'agents' },
  { value: 10, unit: 'percent' },
  { value: 100, unit: 'percent' },
]

export function isSound({ value, unit }: StageDraft): boolean {
  return Number.isInteger(value) && value >= 1 && value <= (unit === 'percent' ? 100 : 20_000)
}

/** As the server takes them. */
export function sizesOf(drafts: readonly StageDraft[]): readonly StageSize[] {
  return drafts.map(({ value, unit }): StageSize => (unit === 'percent' ? `${value}%` : value))
}

/** How many agents each stage takes; there can be fewer stages than drafts, and one more for whoever is left. */
export function countsOf(drafts: readonly StageDraft[], total: number): readonly number[] {
  const counts: number[] = []
  const agents = Array.from({ length: total }, (_, index) => String(index))
  for (const stage of stagesOf(agents, sizesOf(drafts))) counts[stage] = (counts[stage] ?? 0) + 1
  return counts
}

import { expect, test } from 'vitest'
import { countsOf, isSound, type StageDraft, sizesOf, usualDraft } from './stage-plan.ts'

const agents = (value: number): StageDraft => ({ value, unit: 'agents' })
const percent = (value: number): StageDraft => ({ value, unit: 'percent' })

test.each([
  [30, usualDraft, [1, 2, 27]],
  [1, usualDraft, [1]],
  [3, [agents(1)], [1, 2]],
  [10, [percent(50), percent(100)], [5, 5]],
  [0, usualDraft, []],
] as const)('of %i agents each stage takes what it says', (total, drafts, expected) => {
  expect(countsOf(drafts, total)).toEqual(expected)
})

test('sizes are written as the server takes them', () => {
  expect(sizesOf(usualDraft)).toEqual([1, '10%', '100%'])
})

test.each([agents(0), agents(1.5), agents(Number.NaN), agents(20_001), percent(101)])(
  '%o is no stage',
  (draft) => {
    expect(isSound(draft)).toBe(false)
  },
)

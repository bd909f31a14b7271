import { expect, test } from 'vitest'
import { failureWord } from './rollout-looks.ts'

test.each([
  ['failed', 'Back to 1.0: 2.0 ended again and again: a fault', 'wentBack'],
  ['failed', 'The release was refused on this machine: it is not signed.', 'refused'],
  ['failed', 'The archive did not arrive whole. Try again.', 'failed'],
  ['interrupted', 'The machine went down.', 'failed'],
  ['late', 'did not come back with 2.0 in time', 'late'],
  ['expired', 'It was not started in time.', 'expired'],
  ['rejected', 'The policy of this machine forbids it.', 'rejected'],
])('%s with "%s" is told as %s', (failure, problem, word) => {
  expect(failureWord({ failure, problem })).toBe(word)
})

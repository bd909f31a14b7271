import { testExecutor } from '@fleetupdate/sdk/testing'
import { expect, test } from 'vitest'
import executor from './executor.ts'

test('reads what df prints', async () => {
  const report = await testExecutor(executor, {
    transcripts: [
      { program: 'df', args: ['--output=pcent', '--', '/'], stdout: 'Use%\n 42%\n' },
      { program: 'df', args: ['--output=pcent', '--', '/home'], stdout: 'Use%\n  7%\n' },
    ],
    commands: { measure: { input: { path: '/home' } } },
  })
  expect(report.problems).toEqual([])
  expect(report.facts).toEqual({ usedPercent: 42 })
  expect(report.results).toEqual({ measure: { usedPercent: 7 } })
})

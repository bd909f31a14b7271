import { describe, expect, test } from 'vitest'
import { faults } from './faults.ts'
import { runFault } from './run-fault.ts'

const seed = Number(process.env.FAULTS_SEED ?? Math.floor(Math.random() * 2 ** 31))

/** A small run of each fault; `npm run faults` runs them in full. */
describe(`the product survives, with seed ${seed} (FAULTS_SEED)`, () => {
  const small = faults.filter(({ sizes }) => sizes?.includes('smoke') ?? true)
  for (const fault of small) {
    const problem = fault.problem?.()
    if (problem !== undefined) console.warn(`Skipped: ${fault.title}. ${problem}`)
    test.skipIf(problem !== undefined)(fault.title, { timeout: 240_000 }, async () => {
      const { passed, reached } = await runFault(fault, { size: 'smoke', seed })
      expect({ passed, reached }).toEqual({ passed: true, reached })
    })
  }
})

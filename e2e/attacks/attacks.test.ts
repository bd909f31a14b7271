import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { attacks } from './attacks.ts'
import { startTarget, type Target } from './target.ts'

describe('a small run of each attack', () => {
  let target: Target
  beforeAll(async () => {
    target = await startTarget()
  })
  afterAll(() => target?.stop())

  test.each(attacks)('$name: $title', async (attack) => {
    const { passed, reached } = await attack.run(target, 'smoke')
    expect(passed, `required ${attack.required}, reached ${reached}`).toBe(true)
  })
})

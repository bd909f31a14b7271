import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bin, expectSound } from './expect-sound.ts'
import { createOutsideFolder } from './outside-folder.ts'
import { runNode } from './run-program.ts'

const outside = createOutsideFolder()

beforeAll(async () => {
  const made = await runNode(bin('fleetupdate'), ['plugin', 'new', 'disk-health'], outside.path)
  expect(made).toMatchObject({ code: 0, output: expect.stringContaining('npm run build') })
})
afterAll(() => outside.remove())

test('a plugin made outside the repository builds, has sound types and passes its own tests in a real fleet', () =>
  expectSound(join(outside.path, 'disk-health'), 2))

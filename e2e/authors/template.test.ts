import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { repository } from '../repository.ts'
import { createOutsideFolder } from './outside-folder.ts'
import { runNode } from './run-program.ts'

const outside = createOutsideFolder()
const plugin = join(outside.path, 'disk-health')
const bin = (name: string): string => join(repository, 'sdk/bin', `${name}.mjs`)

beforeAll(async () => {
  const made = await runNode(bin('fleetupdate'), ['plugin', 'new', 'disk-health'], outside.path)
  expect(made).toMatchObject({ code: 0, output: expect.stringContaining('npm run build') })
})
afterAll(() => outside.remove())

test('a plugin made outside the repository builds, has sound types and passes its own tests in a real fleet', async () => {
  const built = await runNode(bin('fleetupdate-build'), [], plugin)
  expect(built.output).toContain('dist/executor.js')
  expect(built.output).toContain('dist/panel/panel.js')
  expect(await runNode(join(repository, 'node_modules/typescript/bin/tsc'), ['-p', '.'], plugin)).toEqual({
    code: 0,
    output: '',
  })
  const tested = await runNode(join(repository, 'node_modules/vitest/vitest.mjs'), ['run'], plugin)
  expect(tested, tested.output).toMatchObject({ code: 0, output: expect.stringContaining('2 passed') })
  const checked = await runNode(bin('fleetupdate'), ['plugin', 'check'], plugin)
  expect(checked).toEqual({ code: 0, output: '1 checked, nothing to fix\n' })
})

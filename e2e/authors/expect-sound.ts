import { join } from 'node:path'
import { expect } from 'vitest'
import { repository } from '../repository.ts'
import { runNode } from './run-program.ts'

/** The programs that the sdk brings. */
export const bin = (name: 'fleetupdate' | 'fleetupdate-build'): string =>
  join(repository, 'sdk/bin', `${name}.mjs`)

/** Expects that a plugin's folder builds, has sound types, passes that many tests of its own in a real fleet, and keeps every rule. */
export async function expectSound(plugin: string, tests: number): Promise<void> {
  const built = await runNode(bin('fleetupdate-build'), [], plugin)
  expect(built.output).toContain('dist/executor.js')
  expect(built.output).toContain('dist/panel/panel.js')
  expect(await runNode(join(repository, 'node_modules/typescript/bin/tsc'), ['-p', '.'], plugin)).toEqual({
    code: 0,
    output: '',
  })
  const tested = await runNode(join(repository, 'node_modules/vitest/vitest.mjs'), ['run'], plugin)
  expect(tested, tested.output).toMatchObject({ code: 0, output: expect.stringContaining(`${tests} passed`) })
  const checked = await runNode(bin('fleetupdate'), ['plugin', 'check'], plugin)
  expect(checked).toEqual({ code: 0, output: '1 checked, nothing to fix\n' })
}

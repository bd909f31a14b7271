import type { CommandContext } from '@fleetupdate/sdk/executor'
import { markAutomatic, packageEnvironment } from './apt-commands.ts'
import { anyExitCode } from './process-result.ts'

/**
 * Runs an `apt-get install NAME…` so that packages which apt had installed by itself still count as such: else they would stay for
 * ever once nothing needs them. The marks are put back also after a failure.
 */
export async function keepingMarks<T>(
  names: readonly string[],
  context: CommandContext,
  install: () => Promise<T>,
): Promise<T> {
  const before = await automaticAmong(names, context)
  try {
    return await install()
  } finally {
    const still = new Set(before.length === 0 ? [] : await automaticAmong(names, context))
    const lost = before.filter((name) => !still.has(name))
    if (lost.length > 0) {
      const { program, args } = markAutomatic(lost)
      await context.run(program, args, { env: packageEnvironment, okCodes: anyExitCode, onAbort: 'never' })
    }
  }
}

async function automaticAmong(names: readonly string[], context: CommandContext): Promise<string[]> {
  const { stdout } = await context.run('apt-mark', ['showauto', '--', ...names], { output: 'capture' })
  return stdout.split('\n').filter((line) => line !== '')
}

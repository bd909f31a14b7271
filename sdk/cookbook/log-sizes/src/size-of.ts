import type { ExecutorContext } from '@fleetupdate/sdk/executor'
import type { Size } from './contract.ts'

/** What `du` says of a folder. Throws where it says nothing: "cannot be told" is not zero. */
export async function sizeOf(path: string, { run }: ExecutorContext): Promise<Size> {
  const { exitCode, stdout, stderr } = await run('du', ['--summarize', '--block-size=1', '--', path], {
    output: 'capture',
    // 1: something in it could not be read; the sum of the rest is printed all the same.
    okCodes: [0, 1],
  })
  const bytes = Number.parseInt(stdout, 10)
  if (Number.isNaN(bytes)) throw new Error(`du cannot measure ${path}: ${stderr.trim().split('\n', 1)[0]}`)
  return { bytes, complete: exitCode === 0 }
}

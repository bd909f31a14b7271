import { childProgram, findProgram, startProcess, supervise } from './run.ts'

const block = 4096

/** Gives the bytes between two places of a file back to the disk; sizes and offsets stay. Does nothing where the file system cannot. */
export async function punchHole(path: string, from: number, to: number): Promise<void> {
  const offset = Math.ceil(from / block) * block
  const length = Math.floor(to / block) * block - offset
  const program = findProgram('fallocate')
  if (program === undefined || length <= 0) return
  const args = ['--punch-hole', '--keep-size', '--offset', String(offset), '--length', String(length), path]
  const child = startProcess({ program, args, stdio: ['ignore', 'ignore', 'ignore'] })
  const name = 'fallocate'
  await supervise(childProgram(child, name), { name }).catch(() => undefined)
}

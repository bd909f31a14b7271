import { randomUUID } from 'node:crypto'
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder } from '../durable-file.ts'
import { agentError } from '../errors.ts'

const captureBytes = 16 * 1024 * 1024

/** Two files that take what a privileged program writes, to be read when it has ended: it never writes into a pipe of the agent. */
export interface Capture {
  readonly files: { readonly out: string; readonly err: string }
  /** Throws FLT_RUN_OUTPUT where it is more than 16 MiB. */
  read(program: string): Promise<{ stdout: string; stderr: string }>
  remove(): Promise<void>
}

/** Makes them in a folder, which is made where it is missing. */
export async function createCapture(folder: string): Promise<Capture> {
  await makeFolder(folder)
  const path = join(folder, `capture-${randomUUID()}`)
  const files = { out: `${path}.out`, err: `${path}.err` }
  for (const file of Object.values(files)) await writeFile(file, '', { mode: 0o600, flag: 'wx' })
  const text = async (file: string, program: string): Promise<string> => {
    if ((await stat(file)).size > captureBytes)
      throw agentError('FLT_RUN_OUTPUT', { program, limit: captureBytes })
    return readFile(file, 'utf8')
  }
  return {
    files,
    read: async (program) => ({
      stdout: await text(files.out, program),
      stderr: await text(files.err, program),
    }),
    remove: async () => {
      await Promise.all(Object.values(files).map((file) => rm(file, { force: true })))
    },
  }
}

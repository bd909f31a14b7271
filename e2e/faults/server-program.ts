import { execFile } from 'node:child_process'
import type { Lab } from './fault.ts'

export interface ProgramAnswer {
  readonly code: number
  readonly output: string
  readonly seconds: number
}

/** Runs a verb of the server's own program (`backup`, `restore`) on a data folder, as an operator would beside the server. */
export function runServerProgram(
  lab: Lab,
  dataDir: string,
  words: readonly string[],
): Promise<ProgramAnswer> {
  const began = performance.now()
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [lab.build.server, ...words, '--data-dir', dataDir],
      { env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '' }, cwd: lab.folder },
      (error, stdout, stderr) => {
        const code = error ? Number(error.code ?? 1) : 0
        resolve({ code, output: `${stdout}${stderr}`, seconds: (performance.now() - began) / 1000 })
      },
    )
  })
}

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { workerLocation } from '../worker-location.ts'

const coreFolder = fileURLToPath(new URL('../../..', import.meta.url))

/** Runs a test program of this folder, bundled, in a process of its own; `prefix` is put before node (`prlimit …`). */
export async function startProgram(
  name: string,
  args: readonly string[],
  prefix: readonly string[] = [],
): Promise<ChildProcess> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(name, import.meta.url))],
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    conditions: ['source'],
    external: ['better-sqlite3'],
    banner: {
      js: "import { createRequire as r } from 'node:module'; const require = r(process.cwd() + '/x.js');",
    },
  })
  const worker = await workerLocation()
  return start(
    [...prefix, process.execPath, '--input-type=module', '-', ...args, worker.href],
    outputFiles[0]?.text ?? '',
  )
}

/** A process that takes the write lock of a database, prints `locked`, and lets go after `holdMs`. */
export async function holdLock(file: string, holdMs: number): Promise<ChildProcess> {
  const child = start(
    [process.execPath, '-', file, String(holdMs)],
    `const db = require('better-sqlite3')(process.argv[2])
     db.exec('BEGIN IMMEDIATE')
     console.log('locked')
     setTimeout(() => db.close(), Number(process.argv[3]))`,
  )
  await once(child.stdout ?? child, 'data')
  return child
}

function start([program = '', ...args]: readonly string[], code: string): ChildProcess {
  const child = spawn(program, args, { cwd: coreFolder, stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin?.end(code)
  return child
}

import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Lab } from './fault.ts'

/** What a server told about itself. */
export interface ServerReading {
  /** How late its loop was since its start, ms. */
  readonly loopP99Ms: number
  /** What its main thread holds: heap and buffers outside of it, read right after a forced collection, so that nothing of it is garbage. */
  readonly heldMegabytes: number
}

export interface ServerMeter {
  /** For the environment of the server that is to be read. */
  readonly env: Readonly<Record<string, string>>
  read(pid: number): Promise<ServerReading>
}

/** Makes a meter that a server loads at its start and that answers SIGUSR2. */
export async function createServerMeter(lab: Lab): Promise<ServerMeter> {
  const program = join(lab.folder, 'server-meter.cjs')
  const file = join(lab.folder, 'server-reading')
  await writeFile(program, meterProgram(file))
  return {
    env: { NODE_OPTIONS: `--require=${program}` },
    async read(pid) {
      await rm(file, { force: true })
      process.kill(pid, 'SIGUSR2')
      for (;;) {
        await pause(10)
        const text = await readFile(file, 'utf8').catch(() => '')
        if (text !== '') return JSON.parse(text)
      }
    },
  }
}

function meterProgram(file: string): string {
  return `const { isMainThread } = require('node:worker_threads')
if (isMainThread) {
  const { renameSync, writeFileSync } = require('node:fs')
  require('node:v8').setFlagsFromString('--expose-gc')
  const collect = require('node:vm').runInNewContext('gc')
  const delay = require('node:perf_hooks').monitorEventLoopDelay({ resolution: 5 })
  // What a start costs is another figure.
  setTimeout(() => delay.enable(), 300).unref()
  const file = ${JSON.stringify(file)}
  process.on('SIGUSR2', () => {
    const loopP99Ms = Math.max(0, delay.percentile(99) / 1e6 - 5)
    // Twice: the buffers that the first finds dead are only counted as gone when the second begins.
    collect()
    collect()
    const { heapUsed, external } = process.memoryUsage()
    writeFileSync(file + '.new', JSON.stringify({ loopP99Ms, heldMegabytes: (heapUsed + external) / 1048576 }))
    renameSync(file + '.new', file)
  })
}
`
}

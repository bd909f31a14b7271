import { createLog } from '../../log.ts'
import { runCli } from '../run-cli.ts'
import type { World } from '../verb.ts'

export interface CliEnd {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs the program in this process, as a user would with these settings, and tells what was said. */
export async function runInWorld(args: readonly string[], more: Partial<World> = {}): Promise<CliEnd> {
  let out = ''
  let err = ''
  const world: World = {
    env: { DATA_DIR: '/nonexistent' },
    cwd: '/',
    programDir: '/nonexistent',
    pid: process.pid,
    nodeVersion: process.versions.node,
    user: 'tess',
    uid: process.getuid?.() ?? 0,
    log: createLog(() => {}),
    print: (line) => {
      out += `${line}\n`
    },
    note: (line) => {
      err += `${line}\n`
    },
    confirm: async () => false,
    askSecret: async () => undefined,
    become: () => {
      throw new Error('This test does not become another user.')
    },
    serve: async ({ port }) => {
      out += `serves on ${port}\n`
    },
    ...more,
  }
  return { code: await runCli(args, world), out, err }
}

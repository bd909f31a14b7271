import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

export interface KeeperAnswer {
  readonly bundles?: readonly {
    readonly sha256?: string
    readonly id?: string
    readonly folder?: string
    readonly entrySha256?: string
  }[]
  readonly manifest?: { readonly id: string }
  readonly refused?: string
  readonly failed?: string
}

/** Asks a real bundle-keeper program, for tests. */
export async function runKeeperAt(
  program: string,
  places: readonly string[],
  request: object | string,
): Promise<KeeperAnswer> {
  const child = spawn(process.execPath, [join(program, 'bundle-keeper'), ...places], { env: {} })
  let said = ''
  child.stdout.on('data', (data) => (said += data))
  child.stderr.on('data', (data) => (said += data))
  child.stdin.end(`${typeof request === 'string' ? request : JSON.stringify(request)}\n`)
  await once(child, 'close')
  return JSON.parse(said)
}

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type FleetClient, logIn } from '@fleetupdate/sdk/testing'
import { type Child, startFile } from './child.ts'

/** A real server in a process of its own, and somebody who is logged in. */
export interface Server {
  readonly process: Child
  readonly url: string
  readonly psk: string
  readonly client: FleetClient
  /** Stops it and starts it again on the same port and data: a process without a past. */
  restart(): Promise<void>
}

/** The first administrator's. */
export const password = 'a password for benchmarks'
const psk = 'a-secret-for-benchmarks-0123456789'

/** Starts the built server on loopback with its data in a folder. */
export async function startServer(dataDir: string, pluginDirs: readonly string[]): Promise<Server> {
  let process = await startServerProcess({ dataDir, pluginDirs, port: 0 })
  const { port } = process
  const url = `http://127.0.0.1:${port}`
  return {
    get process() {
      return process
    },
    url,
    psk,
    client: await logIn(url, 'admin', password),
    async restart() {
      await process.stop()
      process = await startServerProcess({ dataDir, pluginDirs, port })
    },
  }
}

export interface ServerSettings {
  readonly dataDir: string
  /** More folders of plugins. */
  readonly pluginDirs: readonly string[]
  /** 0: any free one. */
  readonly port: number
}

/** The same without a login; resolves when the server is ready. */
export function startServerProcess({ dataDir, pluginDirs, port }: ServerSettings): Promise<Child> {
  mkdirSync(dataDir, { recursive: true })
  return startFile(join(process.cwd(), 'core/dist/main.js'), {
    DATA_DIR: dataDir,
    HOST: '127.0.0.1',
    PORT: String(port),
    SERVER_PSK: psk,
    UI_USER: 'admin',
    UI_PASSWORD: password,
    JWT_SECRET: 'a-signing-secret-for-benchmarks-0123456789',
    PLUGIN_DIRS: pluginDirs.join(','),
  })
}

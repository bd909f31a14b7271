import { chmod, mkdir, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { dirname, join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { ConsolePeers } from '../auth/console-peers.ts'
import { fleetError } from '../errors.ts'

/** Longest path of a socket on Linux, in bytes. */
const longestPath = 107

/** Folder in DATA_DIR for what is there only while a process runs. */
export const consoleFolder = 'console'

/** Where the server listens for the program `fleetupdate` on its own machine. */
export function consoleSocketOf(dataDir: string, name = 'server'): string {
  return join(dataDir, consoleFolder, `${name}.sock`)
}

/**
 * Serves the same routes on a socket in the data folder, to admins alone: its folder is closed to all other users (0700). The caller holds
 * the data folder, so that a socket that lies there is a dead one. Answers what closes it. Throws FLT_CONSOLE_SOCKET.
 */
export async function openConsoleSocket(
  app: FastifyInstance,
  peers: ConsolePeers,
  path: string,
): Promise<() => Promise<void>> {
  if (Buffer.byteLength(path) > longestPath)
    throw fleetError('FLT_CONSOLE_SOCKET', { path, problem: `the path has more than ${longestPath} bytes` })
  await app.ready()
  const server = createServer((request, response) => app.routing(request, response))
  server.on('connection', (socket) => peers.admit(socket))
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await chmod(dirname(path), 0o700)
    await rm(path, { force: true })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause)
    throw fleetError('FLT_CONSOLE_SOCKET', { path, problem }, { cause })
  }
  return async () => {
    // Node removes the file itself.
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeAllConnections()
    await closed
  }
}

import { FleetError } from '@fleetupdate/sdk'
import { buildApp } from '../app.ts'
import { withBuiltIns } from '../built-ins.ts'
import type { ServerConfig } from '../config.ts'
import { fleetError } from '../errors.ts'
import { consoleSocketOf } from '../http/console-socket.ts'
import { type Api, consoleHeaders, createApi, isNobodyThere } from './api-client.ts'
import { asOwner } from './data-dir.ts'
import type { Call, Option, World } from './verb.ts'

/** Options of every verb that asks the server. */
export const apiOptions: Readonly<Record<string, Option>> = {
  server: {
    value: 'URL',
    summary:
      'Ask the server at this address, with the API token in FLEET_TOKEN, instead of the one on this machine',
  },
}

/**
 * Gives the API of the server to a task: with `--server` over the network; else through the socket of the server that runs on this data
 * folder; else, where none runs, of a server that is put together for this one task and listens for nobody else. So every deed is done by one
 * process at a time, by the same code, with the same audit row. Throws FLT_CLI_SERVER, FLT_CLI_NO_DATA, FLT_CLI_USER, FLT_DATA_DIR_TAKEN.
 */
export async function withApi<T>(call: Call, task: (api: Api) => Promise<T>): Promise<T> {
  const { world } = call
  const remote = call.text('server')
  if (remote !== undefined) return task(createApi({ server: urlOf(remote), headers: bearer(world) }))
  const config = asOwner(call.config(), world)
  const there = createApi({
    socketPath: consoleSocketOf(config.dataDir),
    headers: consoleHeaders(config, world),
  })
  try {
    await there.get('/api/health')
  } catch (error) {
    if (!isNobodyThere(error)) throw error
    return withOwnServer(config, world, task)
  }
  return task(there)
}

async function withOwnServer<T>(
  config: ServerConfig,
  world: World,
  task: (api: Api) => Promise<T>,
): Promise<T> {
  const quiet = { ...world.log, debug: () => undefined, info: () => undefined }
  let broken: unknown
  const app = await buildApp(withBuiltIns(config, world.programDir), {
    log: quiet,
    onFatal: (error) => {
      broken = error
    },
  })
  try {
    if (app.firstPassword !== undefined)
      world.note(`"${config.uiUser}" was made an admin, with the password  ${app.firstPassword}`)
    const socketPath = await app.openConsole(`fleetupdate-${world.pid}`)
    const answer = await task(createApi({ socketPath, headers: consoleHeaders(config, world) }))
    if (broken !== undefined) throw broken
    return answer
  } finally {
    await app.dispose()
  }
}

function bearer({ env }: World): Readonly<Record<string, string>> {
  const token = env.FLEET_TOKEN
  if (token === undefined || !/^[\w.~+/=-]+$/.test(token)) throw fleetError('FLT_CLI_TOKEN')
  return { authorization: `Bearer ${token}` }
}

function urlOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url && /^https?:$/.test(url.protocol) && url.username === '') return url
  throw new FleetError('FLT_CLI_USAGE', 400, `--server is an address like https://fleet.example.com`)
}

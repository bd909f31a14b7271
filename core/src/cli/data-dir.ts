import { type Stats, statSync } from 'node:fs'
import { join } from 'node:path'
import type { ServerConfig } from '../config.ts'
import { fleetError } from '../errors.ts'
import type { World } from './verb.ts'

/**
 * The configuration, where its data folder holds a server, and this process goes on as that server's user: another one would leave files
 * behind that the server can't open. Root becomes that user; anybody else is refused with FLT_CLI_USER.
 */
export function asOwner(config: ServerConfig, world: World): ServerConfig {
  const found = statOf(databaseOf(config), config)
  if (!found) throw fleetError('FLT_CLI_NO_DATA', { path: config.dataDir })
  return goOnAs(found, config, world)
}

/** The same for a data folder that may be empty, or is still to be made by this user. */
export function asOwnerOfFolder(config: ServerConfig, world: World): ServerConfig {
  const found = statOf(config.dataDir, config)
  return found ? goOnAs(found, config, world) : config
}

function goOnAs({ uid, gid }: Stats, config: ServerConfig, world: World): ServerConfig {
  if (uid === world.uid) return config
  if (world.uid !== 0) throw fleetError('FLT_CLI_USER', { path: config.dataDir, uid })
  world.become(uid, gid)
  return config
}

/** The core's database. */
export function databaseOf({ dataDir }: Pick<ServerConfig, 'dataDir'>): string {
  return join(dataDir, 'core.db')
}

function statOf(path: string, { dataDir }: ServerConfig): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch (cause) {
    const isClosed = cause instanceof Error && 'code' in cause && cause.code === 'EACCES'
    if (isClosed) throw fleetError('FLT_CLI_USER', { path: dataDir, uid: 'of the server' }, { cause })
    throw cause
  }
}

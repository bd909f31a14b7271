import { statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import type { ServerConfig } from '../config.ts'
import { fleetError } from '../errors.ts'

/** The configuration, where its data folder holds a server of this user. Another user would leave files behind that the server can't open. */
export function existing(config: ServerConfig): ServerConfig {
  const found = statSync(databaseOf(config), { throwIfNoEntry: false })
  if (!found) throw fleetError('FLT_CLI_NO_DATA', { path: config.dataDir })
  assertOwn(config.dataDir, found.uid)
  return config
}

/** The configuration, where its data folder is this user's or is still to be made. */
export function own(config: ServerConfig): ServerConfig {
  const found = statSync(config.dataDir, { throwIfNoEntry: false })
  if (found) assertOwn(config.dataDir, found.uid)
  return config
}

function assertOwn(path: string, uid: number): void {
  if (uid !== userInfo().uid) throw fleetError('FLT_CLI_USER', { path, uid })
}

/** The core's database. */
export function databaseOf({ dataDir }: Pick<ServerConfig, 'dataDir'>): string {
  return join(dataDir, 'core.db')
}

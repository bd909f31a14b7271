import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { checkpointsName } from '../audit/checkpoints.ts'
import { fleetError } from '../errors.ts'

/**
 * Throws FLT_STORE_LOST where core.db is missing or empty beside other data of a server: SQLite would quietly begin anew, and every agent,
 * person and command would be gone.
 */
export function assertDatabaseNotLost(dataDir: string): void {
  const file = join(dataDir, 'core.db')
  if (sizeOf(file) > 0 || sizeOf(`${file}-wal`) > 0) return
  const others = [checkpointsName, ...pluginDatabases(dataDir)].map((name) => join(dataDir, name))
  const evidence = others.find((path) => sizeOf(path) > 0)
  if (evidence !== undefined) throw fleetError('FLT_STORE_LOST', { file, evidence })
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

function pluginDatabases(dataDir: string): string[] {
  try {
    const names = readdirSync(join(dataDir, 'plugins-data'))
    return names.filter((name) => name.endsWith('.db')).map((name) => join('plugins-data', name))
  } catch {
    return []
  }
}

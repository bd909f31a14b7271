import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { ServerConfig } from './config.ts'

/** Adds what comes with the server: in an installation beside its program, in a checkout in its rooms. */
export function withBuiltIns(config: ServerConfig, programDir: string): ServerConfig {
  const first = (...places: readonly string[]): string | undefined =>
    places.map((place) => join(programDir, place)).find((folder) => existsSync(folder))
  const plugins = first('plugins', '../../plugins')
  const executors = first('executors', '../../agent-plugins')
  return {
    ...config,
    pluginDirs: plugins === undefined ? config.pluginDirs : [plugins, ...config.pluginDirs],
    executorDirs: executors === undefined ? [] : [executors],
    dashboardDir: config.dashboardDir ?? first('dashboard', '../../dashboard/dist'),
  }
}

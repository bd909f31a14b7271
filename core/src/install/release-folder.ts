import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Log } from '@fleetupdate/sdk'
import type { ServerConfig } from '../config.ts'
import { type AgentRelease, openAgentRelease } from './agent-release.ts'

/**
 * The release that this server hands out: the folder that is configured, else the one beside the program; undefined where there is none. A damaged one
 * is said and left out: the fleet that exists goes on.
 */
export async function findAgentRelease(
  { agentReleaseDir }: Pick<ServerConfig, 'agentReleaseDir'>,
  log: Log,
): Promise<AgentRelease | undefined> {
  const beside = join(dirname(fileURLToPath(import.meta.url)), 'agent-release')
  const folder = agentReleaseDir ?? (existsSync(beside) ? beside : undefined)
  if (folder === undefined) return undefined
  try {
    return await openAgentRelease(folder)
  } catch (error) {
    log.error(error instanceof Error ? error.message : String(error))
    return undefined
  }
}

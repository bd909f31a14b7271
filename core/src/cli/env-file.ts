import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { fleetError } from '../errors.ts'
import type { World } from './verb.ts'

type Texts = Readonly<Record<string, string | undefined>>

/**
 * The environment, then what only the file says, then what counts on an installed server. The file of an installed server is read where
 * this user may; one that was asked for must be readable (FLT_CONFIG_INVALID).
 */
export function readEnvironment(
  file: string | undefined,
  { env, installed }: Pick<World, 'env' | 'installed'>,
): Texts {
  const defaults = installed ? { DATA_DIR: installed.dataDir } : {}
  if (file !== undefined) return { ...defaults, ...read(file), ...env }
  return { ...defaults, ...(installed ? readWhereAllowed(installed.envFile) : {}), ...env }
}

function readWhereAllowed(file: string): Texts {
  try {
    return read(file)
  } catch {
    return {}
  }
}

function read(file: string): Texts {
  try {
    return parseEnv(readFileSync(file, 'utf8'))
  } catch (cause) {
    const problem = `${file} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}.`
    throw fleetError('FLT_CONFIG_INVALID', { key: '--env-file', problem }, { cause })
  }
}

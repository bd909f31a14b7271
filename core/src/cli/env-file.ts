import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { fleetError } from '../errors.ts'

type Texts = Readonly<Record<string, string | undefined>>

/** The environment, with what only the file says. Throws FLT_CONFIG_INVALID where a file that was asked for can't be read. */
export function readEnvFile(file: string | undefined, env: Texts): Texts {
  if (file === undefined) return env
  try {
    return { ...parseEnv(readFileSync(file, 'utf8')), ...env }
  } catch (cause) {
    const problem = `${file} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}.`
    throw fleetError('FLT_CONFIG_INVALID', { key: '--env-file', problem }, { cause })
  }
}

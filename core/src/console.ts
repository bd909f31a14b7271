import { statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import type { Log } from '@fleetupdate/sdk'
import { createEnrolmentTokens } from './agents/enrolment-tokens.ts'
import { invitationLine } from './agents/invitation.ts'
import { isAgentId, requireFree } from './agents/token-routes.ts'
import { checkpointsName } from './audit/checkpoints.ts'
import { createAudit } from './audit/create-audit.ts'
import { verifyAudit } from './audit/verify.ts'
import { openMasterKey } from './auth/master-key.ts'
import { createSealer } from './auth/sealer.ts'
import type { ServerConfig } from './config.ts'
import { readConfig } from './config-load.ts'
import { fleetError } from './errors.ts'
import { coreMigrations } from './store/core-migrations.ts'
import { createStore } from './store/create-store.ts'
import { openReadHandle } from './store/read-handle.ts'
import type { CoreTables } from './store/tables.ts'

export interface ConsoleAnswer {
  readonly lines: readonly string[]
  readonly exitCode: number
}

export interface ConsoleCall {
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly log: Log
}

/** Whether these arguments are a word to the console, not the start of a server. */
export function isConsoleCall([first = '']: readonly string[]): boolean {
  return first !== '' && !first.startsWith('-')
}

/**
 * What is done on the server's own machine, beside a server that may be running: `audit verify`, `agent invite ID`. Settings are
 * those of the server, from the environment and the arguments. Throws FLT_CONSOLE_USAGE for anything else.
 */
export async function runConsole({ args, env, log }: ConsoleCall): Promise<ConsoleAnswer> {
  const [noun, verb, ...rest] = args
  if (noun === 'audit' && verb === 'verify') return verify(existing(readConfig(env, rest)))
  const [agentId = '', ...more] = rest
  if (noun === 'agent' && verb === 'invite' && isAgentId(agentId))
    return invite(existing(readConfig(env, more)), agentId, log)
  throw fleetError('FLT_CONSOLE_USAGE')
}

async function verify(config: ServerConfig): Promise<ConsoleAnswer> {
  const masterKey = await openMasterKey(config.masterKeyFile)
  const checkpoints = join(config.dataDir, checkpointsName)
  const handle = openReadHandle<CoreTables>(databaseOf(config), 30_000)
  try {
    const report = await verifyAudit({ read: handle.query, masterKey, checkpoints })
    const { rows, problems, unsigned } = report
    const counts = `${rows} rows, ${report.checkpoints} signed checkpoints, ${unsigned} rows newer than the last`
    if (problems.length === 0) return { lines: [`The audit is whole: ${counts}.`], exitCode: 0 }
    return { lines: [...problems, `The audit is NOT whole: ${counts}.`], exitCode: 1 }
  } finally {
    handle.close()
  }
}

async function invite(config: ServerConfig, agentId: string, log: Log): Promise<ConsoleAnswer> {
  const masterKey = await openMasterKey(config.masterKeyFile)
  const store = await createStore({
    dir: config.dataDir,
    migrations: coreMigrations,
    onFatal: (error) => log.error(error.message),
  })
  const audit = await createAudit({
    ...{ store, masterKey, log },
    checkpoints: join(config.dataDir, checkpointsName),
  })
  try {
    await requireFree(store, agentId)
    const tokens = createEnrolmentTokens({ store, sealer: createSealer(masterKey), now: Date.now })
    const actor = { type: 'console', id: userInfo().username } as const
    const made = tokens.create({ agentId, createdBy: `${actor.id} (console)` })
    await store.write([
      ...made.statements,
      audit.row({ actor, action: 'enrolment-token.created', target: made.id, details: { agentId } }),
    ])
    const serverUrl = config.publicUrls[0]?.origin ?? `http://${hostOf(config)}:${config.port}`
    const lines = [
      `Paste this line on ${agentId}; it works once, until ${new Date(made.expiresAtMs).toISOString()}:`,
      '',
      `  ${invitationLine({ agentId, token: made.token, serverUrl })}`,
      '',
      ...(config.publicUrls.length > 0
        ? []
        : ['PUBLIC_URL is not set: correct SERVER_URL where it is wrong.']),
    ]
    return { lines, exitCode: 0 }
  } finally {
    await audit.dispose()
    await store.close()
  }
}

/** Another user would leave files behind that the server can't open. */
function existing(config: ServerConfig): ServerConfig {
  const found = statSync(databaseOf(config), { throwIfNoEntry: false })
  if (!found) throw fleetError('FLT_CONSOLE_NO_DATA', { path: config.dataDir })
  const { uid } = userInfo()
  if (found.uid !== uid) throw fleetError('FLT_CONSOLE_USER', { path: config.dataDir, uid: found.uid })
  return config
}

function databaseOf({ dataDir }: ServerConfig): string {
  return join(dataDir, 'core.db')
}

function hostOf({ host }: ServerConfig): string {
  return host === '0.0.0.0' || host === '::' ? '<this-server>' : host
}

import { userInfo } from 'node:os'
import { join } from 'node:path'
import { createEnrolmentTokens } from '../agents/enrolment-tokens.ts'
import { invitationLine } from '../agents/invitation.ts'
import { isAgentId, requireFree } from '../agents/token-routes.ts'
import { checkpointsName } from '../audit/checkpoints.ts'
import { createAudit } from '../audit/create-audit.ts'
import { requireMasterKey } from '../auth/existing-master-key.ts'
import { createSealer } from '../auth/sealer.ts'
import type { ServerConfig } from '../config.ts'
import { fleetError } from '../errors.ts'
import { servedInstaller } from '../install/installer.ts'
import { findAgentRelease } from '../install/release-folder.ts'
import { coreMigrations } from '../store/core-migrations.ts'
import { createStore } from '../store/create-store.ts'
import { existing } from './data-dir.ts'
import type { Noun, Verb } from './verb.ts'

const invite: Verb = {
  summary: 'Make the line to paste on a new machine',
  details: ['The line works once, for this id alone, for an hour.'],
  operands: [{ name: 'ID', summary: 'the id of the new agent: letters, digits, dot, dash, underscore' }],
  examples: ['vm-01'],
  async run(call) {
    const agentId = call.operand('ID')
    if (!isAgentId(agentId)) throw fleetError('FLT_CLI_AGENT_ID', { id: agentId.slice(0, 100) })
    const { world } = call
    const config = existing(call.config())
    const masterKey = await requireMasterKey(config)
    const store = await createStore({
      dir: config.dataDir,
      migrations: coreMigrations,
      onFatal: (error) => world.log.error(error.message),
    })
    const audit = await createAudit({
      ...{ store, masterKey, log: world.log },
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
      const release = config.publicUrls.length > 0 ? await findAgentRelease(config, world.log) : undefined
      const installerSha256 = release && servedInstaller(release, serverUrl).sha256
      const command = invitationLine({ agentId, token: made.token, serverUrl, installerSha256 })
      const expiresAt = new Date(made.expiresAtMs).toISOString()
      const lines = [
        `Paste this line on ${agentId}; it works once, until ${expiresAt}:`,
        '',
        `  ${command}`,
        '',
        ...(config.publicUrls.length > 0
          ? []
          : ['PUBLIC_URL is not set: correct SERVER_URL where it is wrong.']),
      ]
      return { lines, json: { agentId, token: made.token, expiresAt, command } }
    } finally {
      await audit.dispose()
      await store.close()
    }
  },
}

/** The machines of the fleet. */
export const agentNoun: Noun = { summary: 'The machines of the fleet', verbs: { invite } }

function hostOf({ host }: ServerConfig): string {
  return host === '0.0.0.0' || host === '::' ? '<this-server>' : host
}

import { type FileHandle, open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { readMasterKey } from '../auth/master-key.ts'
import { verifyBackup } from '../backup/open-backup.ts'
import { restoreBackup } from '../backup/restore-backup.ts'
import type { ServerConfig } from '../config.ts'
import { fleetError } from '../errors.ts'
import { holdDataDir } from '../store/data-lock.ts'
import { asOwnerOfFolder } from './data-dir.ts'
import type { Call, Outcome, Verb } from './verb.ts'

/** Puts a backup back, or only verifies it. */
export const restoreVerb: Verb = {
  summary: 'Put a backup back; the server must be stopped',
  details: [
    'Everything is checked before anything changes. Machines run nothing again that they did after the backup: they say what became of it.',
    'People have to log in again, and open invitations end.',
  ],
  operands: [{ name: 'BACKUP', summary: 'the file that "fleetupdate backup" wrote' }],
  options: {
    force: { summary: 'Also where the data folder is in use: what is there is moved aside and kept' },
    'only-verify': { summary: 'Read all of it, compare it with its list, and change nothing' },
  },
  examples: ['fleetupdate-2026-11-25T22-10-00Z.tar.gz --force', 'backup.tar.gz --only-verify'],
  async run(call) {
    const { world } = call
    const config = call.config()
    const backup = resolve(world.cwd, call.operand('BACKUP'))
    // Opened by root, before this process goes on as the server's user: "fleetupdate backup" lets root alone read what root made.
    const file = world.uid === 0 ? await open(backup).catch(() => undefined) : undefined
    try {
      return await restore(call, { backup, config: asOwnerOfFolder(config, world), file })
    } finally {
      await file?.close()
    }
  },
}

interface Given {
  readonly backup: string
  readonly config: ServerConfig
  readonly file: FileHandle | undefined
}

async function restore({ world, has }: Call, { backup, config, file }: Given): Promise<Outcome> {
  const { dataDir, masterKeyFile } = config
  const masterKey = await readMasterKey(masterKeyFile)
  if (!masterKey) throw fleetError('FLT_BACKUP_KEY_MISSING', { path: backup, file: masterKeyFile })
  const key = { masterKey, masterKeyFile, ...(file ? { file } : {}) }
  if (has('only-verify')) {
    const { madeAt, version, files } = await verifyBackup(backup, key)
    return {
      lines: [`The backup is whole: ${files.length} files as of ${madeAt}, of FleetUpdate ${version}.`],
      json: { whole: true, madeAt, version, files: files.length },
    }
  }
  const release = await holdDataDir(dataDir, 0)
  const actor = world.user
  const restored = await restoreBackup({ ...key, backup, dataDir, actor, replace: has('force') }).finally(
    release,
  )
  const { manifest, aside, sessions, enrolmentTokens } = restored
  const { madeAt, version } = manifest
  return {
    lines: [
      `Restored into ${dataDir}, as of ${madeAt}. Start the server again.`,
      ...(aside === undefined ? [] : [`What was there is kept in ${aside}.`]),
      `Ended: ${sessions} sessions and ${enrolmentTokens} open invitations.`,
      `What was changed after ${madeAt} is back as it was: look at people, API tokens and removed agents, and end again what was ended since.`,
    ],
    json: { dataDir, madeAt, version, aside: aside ?? null, sessions, enrolmentTokens },
  }
}

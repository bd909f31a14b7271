import { requireMasterKey } from '../auth/existing-master-key.ts'
import { createBackup } from '../backup/create-backup.ts'
import { serverVersion } from '../version.ts'
import { asOwner } from './data-dir.ts'
import type { Verb } from './verb.ts'

/** Backs up a server while it runs. */
export const backupVerb: Verb = {
  summary: 'Back up everything the server keeps, while it runs',
  details: [
    'All databases as they were at one moment, the audit’s checkpoints and the installed plugins, in one file, verified.',
    'The master key is NOT in it: keep a copy of that file somewhere else. Without it a backup cannot be restored.',
  ],
  operands: [
    {
      name: 'FILE',
      summary: 'a new file, or a folder for one with the date in its name (else: here)',
      isOptional: true,
    },
  ],
  examples: ['', '/var/backups/', 'before-the-move.tar.gz --data-dir /var/lib/orchestrator-server'],
  async run(call) {
    const { dataDir, masterKeyFile } = asOwner(call.config(), call.world)
    const masterKey = await requireMasterKey({ masterKeyFile, dataDir })
    const made = await createBackup({
      dataDir,
      masterKey,
      masterKeyFile,
      target: call.operand('FILE') || call.world.cwd,
      version: serverVersion,
    })
    const { path, bytes, files, leftOut, madeAt } = made
    return {
      lines: [
        `Written and verified: ${path} (${(bytes / 1e6).toFixed(1)} MB, ${files.length} files, as of ${madeAt}).`,
        `The master key is not in it. Keep a copy of ${masterKeyFile} somewhere else.`,
        ...(leftOut.length > 0 ? [`Left out of ${dataDir}: ${leftOut.join(', ')}.`] : []),
      ],
      json: { path, bytes, madeAt, files: files.length, leftOut, masterKeyFile },
    }
  },
}

import { createReadStream, existsSync } from 'node:fs'
import { type FileHandle, mkdtemp, open, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { requireMasterKey } from '../auth/existing-master-key.ts'
import { createBackup, type MadeBackup } from '../backup/create-backup.ts'
import { fleetError } from '../errors.ts'
import { serverVersion } from '../version.ts'
import { asOwner, databaseOf } from './data-dir.ts'
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
    const { world } = call
    const config = call.config()
    const target = resolve(world.cwd, call.operand('FILE'))
    // Opened by root, before this process goes on as the server's user, who may not write there.
    const isThere = existsSync(databaseOf(config))
    const file = world.uid === 0 && isThere ? await openAsRoot(target) : undefined
    const { dataDir, masterKeyFile } = asOwner(config, world)
    const masterKey = await requireMasterKey({ masterKeyFile, dataDir })
    const backUp = (to: string) =>
      createBackup({ dataDir, masterKey, masterKeyFile, target: to, version: serverVersion })
    const made = file ? await backUpInto(file, backUp) : await backUp(target)
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

interface RootsFile {
  readonly path: string
  readonly handle: FileHandle
}

async function openAsRoot(target: string): Promise<RootsFile> {
  const found = await stat(target).catch(() => undefined)
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(':', '-')
  const path = found?.isDirectory() ? join(target, `fleetupdate-${stamp}Z.tar.gz`) : target
  try {
    return { path, handle: await open(path, 'wx', 0o600) }
  } catch (cause) {
    if (found && !found.isDirectory()) throw fleetError('FLT_BACKUP_EXISTS', { path }, { cause })
    const problem = cause instanceof Error ? cause.message : String(cause)
    throw fleetError('FLT_BACKUP_FAILED', { path, problem }, { cause })
  }
}

/** Makes it where the server's user may write, and puts it, verified, into root's file. */
async function backUpInto(
  { path, handle }: RootsFile,
  backUp: (target: string) => Promise<MadeBackup>,
): Promise<MadeBackup> {
  const folder = await mkdtemp('/var/tmp/fleetupdate-backup-')
  try {
    const made = await backUp(join(folder, 'backup.tar.gz'))
    for await (const part of createReadStream(made.path)) await handle.appendFile(part as Buffer)
    await handle.sync()
    return { ...made, path }
  } catch (error) {
    // As the server's user that may be refused: then an empty file is what stays.
    await rm(path).catch(() => undefined)
    throw error
  } finally {
    await handle.close()
    await rm(folder, { recursive: true, force: true })
  }
}

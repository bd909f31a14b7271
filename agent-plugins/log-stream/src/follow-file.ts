import { constants } from 'node:fs'
import { access, realpath, stat } from 'node:fs/promises'
import { sep } from 'node:path'
import type { CommandContext } from '@fleetupdate/sdk/executor'

/**
 * Shows a log file from its last 100 lines on, also after it was rotated. Only regular files whose real path, with every link
 * resolved, lies below one of `folders`; otherwise it fails with the reason.
 */
export async function followFile(
  file: string,
  folders: readonly string[],
  context: CommandContext,
): Promise<void> {
  const path = await allowedPath(file, folders, context)
  await context.run('tail', ['--follow=name', '--retry', '--lines=100', '--', path])
}

async function allowedPath(
  file: string,
  folders: readonly string[],
  { root, fail }: CommandContext,
): Promise<string> {
  const refusal = `Only files below ${folders.join(', ')} may be followed, and "${file}" is not one.`
  // Before anything is looked up, so that an answer tells nothing about files elsewhere.
  if (!folders.some((folder) => file.startsWith(folder + sep)) || file.split(sep).includes('..'))
    fail(refusal)
  const path = await realpath(root + file).catch((error: unknown) => fail(reason(file, error)))
  const real = await Promise.all(folders.map((folder) => realpath(root + folder).catch(() => undefined)))
  if (!real.some((folder) => folder !== undefined && path.startsWith(folder + sep))) fail(refusal)
  const found = await stat(path).catch((error: unknown) => fail(reason(file, error)))
  if (!found.isFile()) fail(`"${file}" is not a regular file.`)
  await access(path, constants.R_OK).catch((error: unknown) => fail(reason(file, error)))
  return path
}

function reason(file: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT' || code === 'ENOTDIR') return `There is no file "${file}" on this host.`
  if (code === 'EACCES' || code === 'EPERM')
    return `The agent may not read "${file}". Give its user the group of the file, often: usermod -aG adm orchestrator`
  return `"${file}" can't be read (${String(code ?? error)}).`
}

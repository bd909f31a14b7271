import { access, open } from 'node:fs/promises'
import type { ExecutorContext, Log, PrivilegeState } from '@fleetupdate/sdk'
import { agentError, errorCode } from './errors.ts'
import { createRun, type RunSettings } from './executor-run.ts'

const fileBytes = 4 * 1024 * 1024

export interface ContextSettings extends RunSettings {
  readonly log: Log
  privileges(): Promise<readonly PrivilegeState[]>
  excludes(packageName: string): Promise<boolean>
}

/** What facts and commands of an executor get from this host; its `root` is the real one. */
export function createExecutorContext(settings: ContextSettings): ExecutorContext {
  return {
    run: createRun(settings),
    root: '',
    signal: settings.signal,
    log: settings.log,
    exists,
    readFile,
    privileges: () => settings.privileges(),
    excludes: (packageName) => settings.excludes(packageName),
  }
}

/** Whether a path exists on this host. */
export async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return false
    throw error
  }
}

/** Reads to the end or to the limit: files below /proc have no size that could be asked beforehand. */
export async function readFile(path: string): Promise<string | undefined> {
  const file = await open(path, 'r').catch((error) => {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined
    throw error
  })
  if (!file) return undefined
  try {
    const parts: Buffer[] = []
    let bytes = 0
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(64 * 1024))
      if (bytesRead === 0) return Buffer.concat(parts).toString('utf8')
      bytes += bytesRead
      if (bytes > fileBytes) throw agentError('FLT_FILE_TOO_LARGE', { path, bytes, limit: fileBytes })
      parts.push(buffer.subarray(0, bytesRead))
    }
  } finally {
    await file.close()
  }
}

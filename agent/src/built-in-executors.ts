import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '@fleetupdate/sdk'
import { contractHash } from '@fleetupdate/sdk/protocol'
import avvio from 'avvio'
import { agentError, describeError, errorCode } from './errors.ts'
import type { HostedExecutor } from './executor-host.ts'
import { type ExecutorPackage, loadExecutor, readExecutorPackage } from './executor-loader.ts'

const idPattern = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/

/**
 * Loads every executor of the agent's own folders, `<folder>/<id>/package.json`, into this process. One that throws, hangs (5 s) or does not fit becomes
 * a failed executor with its reason and stops no other. Of two with one id, the one in the first folder wins.
 */
export async function loadBuiltIns(
  folders: readonly string[],
  log: Log,
  timeoutMs = 5000,
): Promise<readonly HostedExecutor[]> {
  const found = new Map<string, HostedExecutor>()
  const boot = avvio({}, { autostart: false, timeout: timeoutMs })
  for (const { id, folder } of await findExecutorFolders(folders, log)) {
    const one = await discover(id, folder, log)
    if (!one) continue
    const first = found.get(id)
    if (first) {
      log.warn(describeError(agentError('FLT_EXECUTOR_DUPLICATE', { id, folder, first: first.folder })))
      continue
    }
    found.set(id, one)
    const { package: source } = one
    if (!source) continue
    boot.use(async () => {
      const executor = await loadExecutor(source)
      found.set(id, {
        ...one,
        executor,
        contract: executor.contract,
        contractHash: contractHash(executor.contract),
        reason: undefined,
      })
    })
    // Takes this executor's error away, so that the next one boots as if nothing had happened.
    boot.after((error: Error | null) => {
      if (!error) return
      const reason = hung(error) ? `it did not load within ${timeoutMs / 1000} s` : describeError(error)
      found.set(id, { ...one, reason })
      log.error(`The executor "${id}" failed: ${reason}`)
    })
  }
  boot.start()
  await boot.ready()
  return [...found.values()]
}

interface Discovered extends HostedExecutor {
  readonly package: ExecutorPackage | undefined
}

async function discover(id: string, folder: string, log: Log): Promise<Discovered | undefined> {
  const none = {
    ...{ id, folder, contractHash: '', executor: undefined, contract: undefined },
    trust: 'built-in',
  } as const
  try {
    const found = await readExecutorPackage(folder, id)
    if (!found) return undefined
    const { version, manifest } = found
    return { ...none, version, manifest, reason: 'it was not loaded', package: found }
  } catch (error) {
    const reason = describeError(error)
    log.error(reason)
    return { ...none, version: '', manifest: undefined, reason, package: undefined }
  }
}

/** The sub-folders that may hold an executor, by their ids. */
export async function findExecutorFolders(
  folders: readonly string[],
  log: Log,
): Promise<{ readonly id: string; readonly folder: string }[]> {
  const lists = await Promise.all(
    folders.map(async (folder) => {
      const names = await readdir(folder).catch((error) => {
        if (errorCode(error) !== 'ENOENT')
          log.warn(`The folder ${folder} cannot be read: ${describeError(error)}`)
        return []
      })
      return names
        .filter((name) => idPattern.test(name) && name.length <= 64)
        .sort()
        .map((id) => ({ id, folder: join(folder, id) }))
    }),
  )
  return lists.flat()
}

function hung(error: Error): boolean {
  return errorCode(error) === 'AVV_ERR_PLUGIN_EXEC_TIMEOUT' || errorCode(error) === 'AVV_ERR_READY_TIMEOUT'
}

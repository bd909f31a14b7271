import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { AnyContract, Executor, Log, Manifest } from '@fleetupdate/sdk'
import { contractHash } from '@fleetupdate/sdk/protocol'
import avvio from 'avvio'
import { agentError, describeError, errorCode } from './errors.ts'
import { type ExecutorPackage, loadExecutor, readExecutorPackage } from './executor-loader.ts'
import type { DeclaredPrivilege } from './privilege/privilege.ts'

/** One installed executor: usable, or failed with the reason. */
export interface HostedExecutor {
  readonly id: string
  readonly folder: string
  readonly version: string
  /** '' where the contract could not be loaded. */
  readonly contractHash: string
  readonly manifest: Manifest | undefined
  readonly executor: Executor | undefined
  readonly contract: AnyContract | undefined
  readonly reason: string | undefined
}

export interface ExecutorHost {
  readonly all: readonly HostedExecutor[]
  find(id: string): HostedExecutor | undefined
  /** Every privilege that the installed executors declare. */
  readonly privileges: readonly DeclaredPrivilege[]
}

const idPattern = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/

/**
 * Loads every executor of the folders, `<folder>/<id>/package.json`. One that throws, hangs (5 s) or does not fit becomes a failed executor with its
 * reason and stops no other. Of two with one id, the one in the first folder wins.
 */
export async function loadExecutors(
  folders: readonly string[],
  log: Log,
  timeoutMs = 5000,
): Promise<ExecutorHost> {
  const found = new Map<string, HostedExecutor>()
  const boot = avvio({}, { autostart: false, timeout: timeoutMs })
  for (const { id, folder } of await candidates(folders, log)) {
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
  const all = [...found.values()]
  return {
    all,
    find: (id) => found.get(id),
    privileges: all.flatMap(({ id, manifest }) =>
      (manifest?.privileges ?? []).map((privilege) => ({ plugin: id, privilege })),
    ),
  }
}

interface Discovered extends HostedExecutor {
  readonly package: ExecutorPackage | undefined
}

async function discover(id: string, folder: string, log: Log): Promise<Discovered | undefined> {
  const none = { id, folder, contractHash: '', executor: undefined, contract: undefined }
  try {
    const found = await readExecutorPackage(folder, id)
    if (!found) return undefined
    return {
      ...none,
      version: found.version,
      manifest: found.manifest,
      reason: 'it was not loaded',
      package: found,
    }
  } catch (error) {
    const reason = describeError(error)
    log.error(reason)
    return { ...none, version: '', manifest: undefined, reason, package: undefined }
  }
}

async function candidates(folders: readonly string[], log: Log): Promise<{ id: string; folder: string }[]> {
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

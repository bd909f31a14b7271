import { describeError } from '../errors.ts'
import type { HostedExecutor } from '../executor-host.ts'
import { readExecutorPackage } from '../executor-loader.ts'
import { loadIsolated } from './isolated-executor.ts'
import { grantedManifest, type StartIsolated } from './isolated-process.ts'

export interface IsolatedPlace {
  readonly id: string
  readonly folder: string
  readonly trust: 'signed' | 'unsigned'
  readonly publisher?: string
  readonly bundle?: string
  readonly entrySha256?: string
}

/** Loads an executor that did not come with the agent; where that fails it is a failed one, with the reason. Undefined: the folder holds none. */
export async function hostIsolated(
  start: StartIsolated,
  { id, folder, trust, publisher, bundle, entrySha256 }: IsolatedPlace,
): Promise<HostedExecutor | undefined> {
  const named = publisher === undefined ? {} : { publisher }
  const isolated = {
    ...(bundle === undefined ? {} : { bundle }),
    ...(entrySha256 === undefined ? {} : { entrySha256 }),
  }
  const none = {
    executor: undefined,
    contract: undefined,
    contractHash: '',
    manifest: undefined,
    version: '',
  }
  const common = { id, folder, trust, ...named, isolated }
  try {
    const found = await readExecutorPackage(folder, id)
    if (!found) return undefined
    const manifest = grantedManifest(found.manifest, bundle)
    const known = { ...common, version: found.version, manifest }
    try {
      const source = { id, manifest, entry: found.entry, entrySha256, bundle }
      const { executor, contractHash } = await loadIsolated(start, source)
      return { ...known, executor, contract: executor.contract, contractHash, reason: undefined }
    } catch (error) {
      return { ...none, ...known, reason: describeError(error) }
    }
  } catch (error) {
    return { ...none, ...common, reason: describeError(error) }
  }
}

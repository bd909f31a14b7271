import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '@fleetupdate/sdk'
import { findExecutorFolders } from '../built-in-executors.ts'
import type { HostedExecutor } from '../executor-host.ts'
import { readExecutorPackage } from '../executor-loader.ts'
import { hostIsolated } from '../isolation/host-isolated.ts'
import type { StartIsolated } from '../isolation/isolated-process.ts'

/** What somebody put into these folders by hand: it runs only where the trust file says `unsigned: allow`, isolated and never as root. */
export interface UnsignedExecutors {
  /** False where there is no such folder to look into. */
  readonly isNeeded: boolean
  /** Changes when anything in the folders does. */
  print(): Promise<string>
  /** Looks again; what has not changed since is not loaded anew. */
  look(unsigned: 'allow' | 'refuse'): Promise<readonly HostedExecutor[]>
}

const refusal =
  'nobody signed it. Install it as a signed bundle, or let unsigned executors run here: "unsigned: allow" in trust.yaml'

export function createUnsignedExecutors(
  folders: readonly string[],
  { start, log }: { readonly start: StartIsolated; readonly log: Log },
): UnsignedExecutors {
  /** By folder: what it looked like, and what it was loaded as. */
  const known = new Map<string, { readonly print: string; readonly hosted: HostedExecutor | undefined }>()

  const load = async (id: string, folder: string, allowed: boolean): Promise<HostedExecutor | undefined> => {
    if (allowed) return hostIsolated(start, { id, folder, trust: 'unsigned' })
    const found = await readExecutorPackage(folder, id).catch(() => undefined)
    if (!found) return undefined
    const { version, manifest } = found
    const none = { executor: undefined, contract: undefined, contractHash: '' }
    return { ...{ id, folder, version, manifest, ...none }, trust: 'refused', isolated: {}, reason: refusal }
  }
  return {
    isNeeded: folders.length > 0,
    async print() {
      const found = folders.length === 0 ? [] : await findExecutorFolders(folders, log)
      return (await Promise.all(found.map(({ folder }) => printOf(folder)))).join(' ')
    },
    async look(unsigned) {
      const found = await findExecutorFolders(folders, log)
      const first = found.filter(({ id }, at) => found.findIndex((one) => one.id === id) === at)
      // All at once, so that one that hangs holds up no other.
      const all = await Promise.all(
        first.map(async ({ id, folder }) => {
          const print = `${unsigned} ${await printOf(folder)}`
          const before = known.get(folder)
          const hosted =
            before?.print === print ? before.hosted : await load(id, folder, unsigned === 'allow')
          known.set(folder, { print, hosted })
          return hosted
        }),
      )
      return all.filter((one) => one !== undefined)
    },
  }
}

/** Changes when the package does; its module is compared once more when it is loaded. */
async function printOf(folder: string): Promise<string> {
  const times = await Promise.all(
    ['package.json', 'dist', 'dist/executor.js'].map((name) =>
      stat(join(folder, name)).then(
        ({ mtimeMs, size, ino }) => `${mtimeMs}/${size}/${ino}`,
        () => '-',
      ),
    ),
  )
  return times.join(' ')
}

import { lstat, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { getuid } from 'node:process'
import { FleetError } from '@fleetupdate/sdk'
import {
  type ArchiveFile,
  bundleLimits,
  envelopePath,
  type OpenedBundle,
  openFiles,
  type Statement,
  trustProblem,
} from '@fleetupdate/sdk/bundle'
import { PolicyProblem, readPolicy } from '../privilege/policy-file.ts'
import { readCounters } from './counters.ts'
import { readTrust, TrustProblem } from './trust-file.ts'

/** Where a host keeps what it decides with, and what it decided. */
export interface KeeperPlaces {
  /** Holds `trust.yaml` and `policy.yaml`. */
  readonly settings: string
  /** Who may own those. */
  readonly owners: readonly number[]
  /** Holds `bundles/<sha256>/…` and `counters.json`. */
  readonly store: string
  readonly now: () => number
}

/** A bundle in the store that may run, checked this moment. */
export interface KeptBundle extends OpenedBundle {
  readonly folder: string
  /** The publisher's name in the trust file. */
  readonly publisher: string
}

/** Why a bundle may not run here. `modified`: what is stored is not what was signed. */
export class KeeperRefusal extends Error {
  constructor(
    readonly state: 'refused' | 'modified' | 'missing',
    reason: string,
  ) {
    super(reason)
  }
}

export const hashPattern = /^[0-9a-f]{64}$/
/** How long attempts of an earlier version may still become root: no command runs longer. */
const supersededMs = 7 * 86_400_000

/**
 * Reads a bundle from the store and checks all of it again: owner, every file, signature, trust, policy. `use` is `load` for what begins to run;
 * `finish` also lets an earlier version end what it began. Throws {@link KeeperRefusal}.
 */
export async function readKept(
  places: KeeperPlaces,
  sha256: string,
  use: 'load' | 'finish',
): Promise<KeptBundle> {
  if (!hashPattern.test(sha256)) throw new KeeperRefusal('missing', 'it is not kept here')
  const folder = join(places.store, 'bundles', sha256)
  const found = await lstat(folder).catch(() => undefined)
  if (!found) throw new KeeperRefusal('missing', 'it is not kept here')
  let opened: OpenedBundle
  try {
    opened = openFiles(await readFiles(folder))
  } catch (error) {
    const known = error instanceof FleetError || error instanceof KeeperRefusal
    throw new KeeperRefusal('modified', known ? error.message : 'its files cannot be read')
  }
  const publisher = await assertTrusted(places, opened.statement, use)
  return { ...opened, folder, publisher }
}

/** The name of the trusted publisher. Throws {@link KeeperRefusal} where trust or policy do not let the bundle run. */
export async function assertTrusted(
  places: KeeperPlaces,
  statement: Statement,
  use: 'load' | 'finish',
): Promise<string> {
  const { publishers } = await decided(readTrust(places.settings, places.owners))
  const highest = (await readCounters(places.store)).get(statement.id)
  const nowMs = places.now()
  const mayFinish = use === 'finish' && highest !== undefined && nowMs < highest.sinceMs + supersededMs
  const highestCounter = mayFinish ? 0 : (highest?.counter ?? 0)
  const problem = trustProblem(statement, { publishers, highestCounter, nowMs })
  if (problem !== undefined) throw new KeeperRefusal('refused', problem)
  const { commands } = await decided(readPolicy(places.settings, places.owners))
  if (commands && !commands.has(statement.id))
    throw new KeeperRefusal(
      'refused',
      `policy rule "commands": ${statement.id} is not listed on this machine`,
    )
  return publishers.find(({ key }) => key === statement.publisher)?.name ?? ''
}

async function decided<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading
  } catch (error) {
    if (error instanceof TrustProblem || error instanceof PolicyProblem)
      throw new KeeperRefusal('refused', error.message)
    throw error
  }
}

/** Everything below the folder, the envelope first. Throws where it holds anything but plain files of this user that nobody else may write. */
async function readFiles(folder: string): Promise<readonly ArchiveFile[]> {
  const files: ArchiveFile[] = []
  let bytes = 0
  const walk = async (path: string): Promise<void> => {
    const full = join(folder, path)
    const { uid, mode, size, ...found } = await lstat(full)
    if (uid !== getuid?.() || (mode & 0o022) !== 0)
      throw new KeeperRefusal('modified', `${full} belongs to somebody else, or others may write it`)
    const kind = mode & 0o170000
    if (kind === 0o040000) {
      for (const name of (await readdir(full)).sort()) await walk(path === '' ? name : `${path}/${name}`)
      return
    }
    bytes += size
    if (kind !== 0o100000 || found.nlink !== 1 || files.length > bundleLimits.files)
      throw new KeeperRefusal('modified', `${full} is no plain file`)
    if (bytes > bundleLimits.unpackedBytes) throw new KeeperRefusal('modified', 'it has grown')
    files.push({ path, content: await readFile(full) })
  }
  await walk('')
  return [
    ...files.filter(({ path }) => path === envelopePath),
    ...files.filter(({ path }) => path !== envelopePath),
  ]
}

import { execPath } from 'node:process'
import { readFetchedRelease } from './fetched-release.ts'
import type { UpdatePaths } from './paths.ts'
import { createUpdateRecords } from './records.ts'
import { UpdateRefused } from './refusal.ts'
import { createVersions } from './versions.ts'

export interface Applied {
  readonly from: string
  readonly to: string
}

/**
 * Puts a fetched release beside the running version and begins its trial; nothing of it has run yet. Refused: what no pinned key signed, what is older than the
 * running version or the one before it, what needs a newer Node, and a second update while one is on trial. The one release that ran before this one stands here already and was
 * judged when it came: asked for by its hash, it is tried again, and nothing of what was fetched is looked at. Throws {@link UpdateRefused}.
 */
export async function applyUpdate(
  paths: UpdatePaths,
  archiveSha256: string,
  node: { readonly version: string } = { version: process.versions.node },
): Promise<Applied> {
  const records = createUpdateRecords(paths.records)
  if (await records.trial())
    throw new UpdateRefused('another update is on trial on this machine; wait for its end')
  const versions = createVersions(paths.programs)
  const from = await versions.current().catch(() => {
    throw new UpdateRefused(
      `${paths.programs} has no current version: this agent was not installed by the installer`,
    )
  })
  const begin = async (to: string): Promise<Applied> => {
    await versions.point('previous', from)
    await records.begin({ id: archiveSha256, from, to, at: new Date().toISOString() })
    return { from, to }
  }
  const before = await versions.before()
  if (before !== undefined && (await versions.statement(before)).archive === archiveSha256)
    return begin(before)
  const release = await readFetchedRelease(paths, archiveSha256)
  const { version: to, counter, oldestNode } = release.statement
  if (to === from) throw new UpdateRefused(`${to} runs already`)
  // Who went back one step did not open the way to all that lies between.
  for (const known of before === undefined ? [from] : [from, before])
    if (counter < (await versions.statement(known)).counter)
      throw new UpdateRefused(
        `${to} is older than ${known}, which ${known === from ? 'runs' : 'ran'} here. To go back, run the installer with --allow-older`,
      )
  if (compare(node.version, oldestNode) < 0)
    throw new UpdateRefused(
      `${to} needs Node ${oldestNode}; this machine uses ${node.version} (${execPath}). Run the line from the dashboard again, which brings one along`,
    )
  await versions.add(release)
  return begin(to)
}

function compare(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.split('.').map(Number))
  for (let i = 0; i < 3; i++) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

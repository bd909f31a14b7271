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
 * running version, what needs a newer Node, and a second update while one is on trial. Throws {@link UpdateRefused}.
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
  const release = await readFetchedRelease(paths, archiveSha256)
  const { version: to, counter, oldestNode } = release.statement
  if (to === from) throw new UpdateRefused(`${to} runs already`)
  if (counter < (await versions.counter(from)))
    throw new UpdateRefused(
      `${to} is older than ${from}, which runs here. To go back, run the installer with --allow-older`,
    )
  if (compare(node.version, oldestNode) < 0)
    throw new UpdateRefused(
      `${to} needs Node ${oldestNode}; this machine uses ${node.version} (${execPath}). Run the line from the dashboard again, which brings one along`,
    )
  await versions.add(release)
  await versions.point('previous', from)
  await records.begin({ id: archiveSha256, from, to, at: new Date().toISOString() })
  return { from, to }
}

function compare(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.split('.').map(Number))
  for (let i = 0; i < 3; i++) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

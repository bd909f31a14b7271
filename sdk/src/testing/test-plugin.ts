import { basename, resolve } from 'node:path'
import { buildPlugin, readManifest } from '../build/index.ts'
import { startTestFleet, type TestFleet } from './start-test-fleet.ts'

export interface PluginTest {
  /** Folder of the plugin, with its package.json and `src`. It is built first. */
  readonly folder: string
  /** Ids of the agents that load its executor. Default: none. */
  readonly agents?: readonly string[]
  readonly serverEntry?: string
  readonly agentEntry?: string
}

interface ManifestItem {
  readonly id: string
  readonly state: string
  readonly reason?: string
}

/**
 * The conformance suite every plugin runs: it is built, installed into a real server and must become active. `check` then runs
 * against that fleet, which is stopped afterwards.
 *
 * @example
 * await testPlugin({ folder: '.', agents: ['vm-01'] }, async ({ client }) => { … })
 */
export async function testPlugin(
  test: PluginTest,
  check?: (fleet: TestFleet) => Promise<void>,
): Promise<void> {
  const folder = resolve(test.folder)
  const { id } = await readManifest(folder)
  await buildPlugin(folder)
  if (basename(folder) !== id)
    throw new Error(`The folder is named "${basename(folder)}", the plugin "${id}". Name them alike.`)
  const { agents = [], serverEntry, agentEntry } = test
  const fleet = await startTestFleet({
    plugins: [folder],
    agents,
    ...(serverEntry === undefined ? {} : { serverEntry }),
    ...(agentEntry === undefined ? {} : { agentEntry }),
  })
  try {
    const { body } = await fleet.client.request<{ items: readonly ManifestItem[] }>('GET', '/api/plugins')
    const item = body.items.find((candidate) => candidate.id === id)
    if (item?.state !== 'active')
      throw new Error(`Plugin "${id}" did not become active: ${item?.reason ?? 'not found'}`)
    await check?.(fleet)
  } finally {
    await fleet.stop()
  }
}

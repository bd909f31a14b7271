import type { AgentView, PluginContext } from '@fleetupdate/sdk'

const pageSize = 200

/** All agents that a filter lets through, page by page. */
export async function* everyAgent(
  agents: PluginContext['agents'],
  filter?: string,
): AsyncGenerator<AgentView> {
  let cursor: string | undefined
  do {
    const page = await agents.list({
      limit: pageSize,
      ...(filter === undefined ? {} : { filter }),
      ...(cursor === undefined ? {} : { cursor }),
    })
    yield* page.items
    cursor = page.nextCursor ?? undefined
  } while (cursor !== undefined)
}

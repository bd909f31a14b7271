import type { PluginContext } from '@fleetupdate/sdk'
import type { agentUpdate } from './contract.ts'
import { rolloutError } from './errors.ts'
import { everyAgent } from './every-agent.ts'
import { createFleetVersions } from './fleet-versions.ts'
import { progressOf, summaries } from './progress.ts'
import type { Rollout } from './rollout-store.ts'
import type { Rollouts } from './rollouts.ts'
import { type BackBody, backBody, type StartBody, startBody } from './route-bodies.ts'
import { usualStages } from './stages.ts'

interface One {
  Params: { id: string }
}

const shown = 50
const usualMinutes = 15

/** The routes below /api/plugins/agent-update. Who looks is a viewer; who starts, halts or goes on an operator. */
export function registerRoutes(context: PluginContext<typeof agentUpdate>, rollouts: Rollouts): void {
  const { agents, facts, http } = context
  const { store } = rollouts
  const viewer = { config: { role: 'viewer' } } as const
  const operator = { config: { role: 'operator' } } as const
  const fleet = createFleetVersions(context)

  const existing = async (id: string): Promise<Rollout> => {
    const found = await store.read(id)
    if (!found) throw rolloutError('FLT_ROLLOUT_UNKNOWN', { id: id.slice(0, 64) })
    return found
  }
  /** The version all of them are offered; who cannot be updated is named before anything begins. */
  const versionFor = async (ids: readonly string[]): Promise<string> => {
    let version: string | undefined
    for (const id of ids) {
      const { release } = await facts.read(id)
      const refuse = (problem: string): never => {
        throw rolloutError('FLT_ROLLOUT_AGENT', { agent: id, problem }, { details: { agent: id, problem } })
      }
      if (!release) return refuse('it has not said which release it runs.')
      if (release.hindrance !== null) return refuse(release.hindrance)
      if (release.offered === null) return refuse('it cannot reach the release of this server.')
      version ??= release.offered
      if (release.offered !== version)
        return refuse(`it is offered ${release.offered}, others ${version}. Try again in five minutes.`)
    }
    return version ?? ''
  }
  const behind = async (): Promise<readonly string[]> => {
    const ids: string[] = []
    for await (const { id } of everyAgent(agents, 'agent-update.behind')) ids.push(id)
    return ids
  }

  http.get('/fleet', viewer, () => fleet())
  http.get('/rollouts', viewer, async () => ({ items: await summaries(store, shown) }))
  http.get<One>('/rollouts/:id', viewer, async ({ params: { id } }) => {
    await existing(id)
    return rollouts.read(id)
  })
  http.get<One>('/rollouts/:id/progress', viewer, async ({ params: { id } }) =>
    progressOf(await existing(id), store, context),
  )
  http.post<{ Body: StartBody | null }>(
    '/rollouts',
    { ...operator, schema: { body: startBody } },
    async (request, reply) => {
      const { agents: given, first, stages = usualStages, stageMinutes = usualMinutes } = request.body ?? {}
      const [running] = await store.running()
      if (running) throw rolloutError('FLT_ROLLOUT_RUNNING', { id: running.id })
      const found = given ?? (await behind())
      const ids = first === undefined ? found : [first, ...found.filter((id) => id !== first)]
      if (ids.length === 0) throw rolloutError('FLT_ROLLOUT_EMPTY')
      const version = await versionFor(ids)
      const terms = { version, agents: ids, stages, stageMinutes, by: nameOf(request) }
      return reply.code(201).send(await rollouts.create(terms))
    },
  )
  http.post<One>('/rollouts/:id/halt', operator, async (request) => {
    const { id } = await existing(request.params.id)
    await rollouts.halt(id, nameOf(request))
    return rollouts.read(id)
  })
  for (const deed of ['resume', 'stop'] as const)
    http.post<One>(`/rollouts/:id/${deed}`, operator, async ({ params }) => {
      const { id } = await existing(params.id)
      await rollouts[deed](id)
      return rollouts.read(id)
    })
  http.post<One & { Body: BackBody | null }>(
    '/rollouts/:id/back',
    { ...operator, schema: { body: backBody } },
    async (request, reply) => {
      const { id, version } = await existing(request.params.id)
      const { stages = ['100%'], stageMinutes = usualMinutes } = request.body ?? {}
      const mine = new Set((await store.agents(id)).map(({ agentId }) => agentId))
      const ids: string[] = []
      for await (const agent of everyAgent(agents, 'agent-update.before'))
        if (mine.has(agent.id) && agent.agentVersion === version) ids.push(agent.id)
      if (ids.length === 0)
        throw rolloutError('FLT_ROLLOUT_NOTHING_BACK', { id, version }, { details: { version } })
      const terms = { kind: 'back', version, agents: ids, stages, stageMinutes, by: nameOf(request) } as const
      return reply.code(201).send(await rollouts.create(terms))
    },
  )
}

/** Who asked, as the host lets a plugin know. */
function nameOf(request: object): string {
  const subject: unknown = 'subject' in request ? request.subject : undefined
  if (typeof subject !== 'object' || subject === null || !('name' in subject)) return 'an operator'
  return typeof subject.name === 'string' ? subject.name : 'an operator'
}

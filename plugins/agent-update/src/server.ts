import { createErrors, definePlugin } from '@fleetupdate/sdk'
import { agentUpdate } from './contract.ts'
import { createRollouts } from './rollouts.ts'
import { type StageSize, usualStages } from './stages.ts'
import { migrations } from './tables.ts'

const error = createErrors({
  FLT_ROLLOUT_UNKNOWN: { status: 404, message: 'There is no rollout {id}.' },
  FLT_ROLLOUT_RUNNING: {
    status: 409,
    message: 'A rollout is under way. Halt it first: POST /api/plugins/agent-update/rollouts/{id}/halt.',
  },
  FLT_ROLLOUT_EMPTY: {
    status: 409,
    message:
      'No agent is behind the release that this server hands out. Name agents, or update the server first.',
  },
  FLT_ROLLOUT_AGENT: {
    status: 409,
    message: '{agent} cannot be updated: {problem}',
  },
})

const lookMs = 2000
const pageSize = 200

const body = {
  type: 'object',
  additionalProperties: false,
  properties: {
    agents: {
      type: 'array',
      minItems: 1,
      maxItems: 20_000,
      uniqueItems: true,
      items: { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' },
    },
    stages: {
      type: 'array',
      minItems: 1,
      maxItems: 10,
      items: {
        anyOf: [
          { type: 'integer', minimum: 1, maximum: 20_000 },
          { type: 'string', pattern: '^(100|[1-9][0-9]?)%$' },
        ],
      },
    },
    stageMinutes: { type: 'integer', minimum: 5, maximum: 1440 },
  },
} as const

interface StartBody {
  readonly agents?: readonly string[]
  readonly stages?: readonly StageSize[]
  readonly stageMinutes?: number
}

export default definePlugin(agentUpdate, {
  migrations,
  setup(context) {
    const { agents, facts, http, events, schedule, log } = context
    const rollouts = createRollouts(context)
    const advance = (): Promise<void> =>
      rollouts.advance().catch((problem: unknown) => log.error(`A rollout cannot go on: ${String(problem)}`))
    // The sweep stands behind the event, which is only a hint.
    schedule.every(lookMs, advance)
    events.on('command.updated', () => void advance())

    const behind = async (): Promise<readonly string[]> => {
      const ids: string[] = []
      let cursor: string | undefined
      do {
        const page = await agents.list({
          filter: 'agent-update.behind',
          limit: pageSize,
          ...(cursor === undefined ? {} : { cursor }),
        })
        ids.push(...page.items.map(({ id }) => id))
        cursor = page.nextCursor ?? undefined
      } while (cursor !== undefined)
      return ids
    }
    /** The version all of them are offered; who cannot be updated is named before anything begins. */
    const versionFor = async (ids: readonly string[]): Promise<string> => {
      let version: string | undefined
      for (const id of ids) {
        const { release } = await facts.read(id)
        const refuse = (problem: string): never => {
          throw error('FLT_ROLLOUT_AGENT', { agent: id, problem })
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
    const existing = async (id: string) => {
      const found = await rollouts.read(id)
      if (!found) throw error('FLT_ROLLOUT_UNKNOWN', { id: id.slice(0, 64) })
      return found
    }

    http.get('/rollouts', { config: { role: 'viewer' } }, async () => ({ items: await rollouts.list() }))
    http.get<{ Params: { id: string } }>(
      '/rollouts/:id',
      { config: { role: 'viewer' } },
      async ({ params }) => existing(params.id),
    )
    http.post<{ Body: StartBody | null }>(
      '/rollouts',
      { config: { role: 'operator' }, schema: { body } },
      async (request, reply) => {
        const { agents: named, stages = usualStages, stageMinutes = 15 } = request.body ?? {}
        const [current] = (await rollouts.list()).filter(({ state }) => state === 'running')
        if (current) throw error('FLT_ROLLOUT_RUNNING', { id: current.id })
        const ids = named ?? (await behind())
        if (ids.length === 0) throw error('FLT_ROLLOUT_EMPTY')
        const version = await versionFor(ids)
        const by = nameOf(request)
        return reply.code(201).send(await rollouts.create({ version, agents: ids, stages, stageMinutes, by }))
      },
    )
    http.post<{ Params: { id: string } }>(
      '/rollouts/:id/halt',
      { config: { role: 'operator' } },
      async (request) => {
        await existing(request.params.id)
        await rollouts.halt(request.params.id, `halted by ${nameOf(request)}`)
        return existing(request.params.id)
      },
    )
    http.post<{ Params: { id: string } }>(
      '/rollouts/:id/resume',
      { config: { role: 'operator' } },
      async ({ params }) => {
        await existing(params.id)
        if (await rollouts.isRunning()) throw error('FLT_ROLLOUT_RUNNING', { id: params.id })
        await rollouts.resume(params.id)
        return existing(params.id)
      },
    )
  },
})

/** Who asked, as the host lets a plugin know. */
function nameOf(request: object): string {
  const subject: unknown = 'subject' in request ? request.subject : undefined
  if (typeof subject !== 'object' || subject === null || !('name' in subject)) return 'an operator'
  return typeof subject.name === 'string' ? subject.name : 'an operator'
}

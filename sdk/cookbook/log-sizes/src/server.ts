import { createErrors, definePlugin, Type } from '@fleetupdate/sdk'
import { logSizes } from './contract.ts'
import { createHistory } from './history.ts'
import { migrations } from './tables.ts'

const logSizesError = createErrors({
  FLT_LOG_SIZES_AGENT: { status: 404, message: 'There is no agent "{id}". GET /api/agents lists them.' },
})

export default definePlugin(logSizes, {
  migrations,
  setup({ agents, db, http, onFacts }) {
    const history = createHistory(db)
    onFacts(async ({ agentId, facts: { total }, observedAt }) => {
      if (total && observedAt.total) await history.add(agentId, { at: observedAt.total, bytes: total.bytes })
    })
    // #region routes
    http.get<{ Params: { id: string }; Querystring: { limit: string } }>(
      '/agents/:id/sizes',
      {
        config: { role: 'viewer' },
        schema: {
          querystring: Type.Object({ limit: Type.String({ pattern: '^[1-9][0-9]{0,2}$', default: '200' }) }),
        },
      },
      async ({ params: { id }, query: { limit } }) => {
        if (!(await agents.get(id))) throw logSizesError('FLT_LOG_SIZES_AGENT', { id: id.slice(0, 64) })
        return { items: await history.read(id, Number(limit)) }
      },
    )
    http.delete<{ Params: { id: string } }>(
      '/agents/:id/sizes',
      { config: { role: 'operator' } },
      async ({ params: { id } }, reply) => {
        if (!(await agents.get(id))) throw logSizesError('FLT_LOG_SIZES_AGENT', { id: id.slice(0, 64) })
        await history.forget(id)
        return reply.code(204).send()
      },
    )
    // #endregion
  },
})

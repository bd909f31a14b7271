import { ExecutorView } from '@fleetupdate/sdk'
import { Type } from 'typebox'
import type { Route } from '../http/routes.ts'
import type { ExecutorSets } from './executor-sets.ts'

const named = 200

/** Which agents have an executor, and how they hold it. */
export function executorRoutes({ groups }: Pick<ExecutorSets, 'groups'>): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/api/executors/:id',
      rule: { role: 'viewer' },
      summary:
        'Agents by what they told of the executor of this plugin: version, trust, health; or that they have none',
      answer: Type.Object({
        groups: Type.Array(
          Type.Object({
            executor: Type.Union([ExecutorView, Type.Null()]),
            total: Type.Integer(),
            agents: Type.Array(Type.String(), { description: `The first ${named}` }),
          }),
        ),
      }),
      handle: ({ params: { id = '' } }) => ({
        groups: groups(id).map(({ executor, agents }) => ({
          executor,
          total: agents.length,
          agents: agents.slice(0, named),
        })),
      }),
    },
  ]
}

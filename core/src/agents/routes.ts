import { AgentView } from '@fleetupdate/sdk'
import { EnrolFinished, EnrolRequest, EnrolStarted, PollAnswer } from '@fleetupdate/sdk/protocol'
import { Type } from 'typebox'
import { fleetError } from '../errors.ts'
import { handleDirectly } from '../http/direct-routes.ts'
import { byOf, type Route } from '../http/routes.ts'
import type { Delivery } from './delivery.ts'
import type { Enrolment } from './enrolment.ts'
import { isEnrolRequest } from './gateway/frames.ts'
import type { PollGateway } from './gateway/gateway-poll.ts'
import type { AgentRegistry } from './registry.ts'
import type { Revocation } from './revocation.ts'

const Text = Type.Optional(Type.String({ maxLength: 512 }))

/** Query strings are text: numbers are digits. */
export const ListLimit = Type.Optional(
  Type.String({ pattern: '^[1-9][0-9]{0,2}$', description: '1 to 500; default 50' }),
)

/** The HTTP face of the agents' room. */
export function agentRoutes(deps: {
  readonly registry: AgentRegistry
  readonly enrolment: Enrolment
  readonly revocation: Revocation
  readonly poll: PollGateway
  readonly delivery: Delivery
}): readonly Route[] {
  const { registry, enrolment, revocation, poll, delivery } = deps
  return [
    {
      method: 'GET',
      path: '/api/agents',
      rule: { role: 'viewer' },
      summary: 'Agents: filtered, searched, sorted and counted by facets',
      query: Type.Object({
        filter: Text,
        q: Text,
        sort: Text,
        cursor: Type.Optional(Type.String({ maxLength: 2048 })),
        limit: ListLimit,
        count: Type.Optional(
          Type.String({
            maxLength: 2048,
            description: 'Filters, separated by commas, that `counts` tells too',
          }),
        ),
      }),
      answer: Type.Object({
        items: Type.Array(AgentView),
        nextCursor: Type.Union([Type.String(), Type.Null()]),
        counts: Type.Record(Type.String(), Type.Integer()),
      }),
      handle: ({ query }) => registry.list({ ...query, limit: readLimit(query.limit) }),
    },
    {
      method: 'GET',
      path: '/api/agents/:id',
      rule: { role: 'viewer' },
      summary: 'One agent',
      answer: AgentView,
      async handle({ params: { id = '' } }) {
        const agent = await registry.get(id)
        if (!agent) throw fleetError('FLT_AGENT_UNKNOWN', { id: id.slice(0, 64) })
        return agent
      },
    },
    {
      method: 'DELETE',
      path: '/api/agents/:id',
      rule: { role: 'admin' },
      summary: 'Remove an agent: its identity ends, its channels close, its id stays taken',
      answer: Type.Object({ id: Type.String(), removedAt: Type.String() }),
      handle: (call) => revocation.remove(call.params.id ?? '', byOf(call)),
    },
    {
      method: 'POST',
      path: '/api/agent/enroll',
      rule: 'public',
      summary: 'Enrol an agent, in two steps (docs/reference/protocol.md)',
      body: EnrolRequest,
      answer: Type.Union([EnrolStarted, EnrolFinished]),
      bodyLimit: 4096,
      handle({ body, request }) {
        if (!isEnrolRequest(body))
          throw fleetError('FLT_HTTP_INVALID', { problem: 'the body is no enrolment' })
        return body.step === 'start' ? enrolment.start(body, request.ip) : enrolment.finish(body)
      },
    },
    {
      method: 'POST',
      path: '/api/agent/poll',
      rule: 'agent',
      summary: 'Exchange frames, signed (docs/reference/protocol.md)',
      answer: PollAnswer,
      direct: poll.answer,
      handle: handleDirectly(poll.answer),
    },
    {
      method: 'GET',
      path: '/api/agent/bundles/:sha256',
      rule: 'agent',
      summary: 'Part of a signed plugin bundle, from a byte on (docs/reference/protocol.md)',
      query: Type.Object({ from: Type.Optional(Type.String({ pattern: '^(0|[1-9][0-9]{0,9})$' })) }),
      handle: ({ params: { sha256 = '' }, query, request, reply }) =>
        delivery.handle(request, reply, sha256, Number(query.from ?? 0)),
    },
  ]
}

export function readLimit(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text)
}

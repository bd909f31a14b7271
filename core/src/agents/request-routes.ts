import { EnrolAbout } from '@fleetupdate/sdk/protocol'
import { type Static, Type } from 'typebox'
import { byOf, type Route } from '../http/routes.ts'
import type { EnrolmentRequest, EnrolmentRequests } from './enrolment-requests.ts'
import { isoTime } from './view.ts'

const Maybe = Type.Union([Type.String(), Type.Null()])
const RequestView = Type.Object({
  id: Type.String(),
  agentId: Type.String(),
  state: Type.Enum(['waiting', 'approved', 'refused', 'expired']),
  tokenId: Type.String({ description: 'The token it used; `psk` for SERVER_PSK' }),
  address: Type.String({ description: 'Where it came from, as the server saw it' }),
  about: Type.Object(EnrolAbout.properties, {
    description: 'What the machine says of itself; nobody checked it',
  }),
  createdAt: Type.String(),
  expiresAt: Type.String(),
  decidedAt: Maybe,
  decidedBy: Maybe,
})

/** Machines that wait to be let in, for admins. */
export function requestRoutes({ requests }: { readonly requests: EnrolmentRequests }): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/api/enrolment/requests',
      rule: { role: 'admin' },
      summary: 'Enrolments that wait for approval, and those decided in the last week; the newest 500',
      answer: Type.Object({ items: Type.Array(RequestView) }),
      handle: async () => ({ items: (await requests.list()).map(viewRequest) }),
    },
    {
      method: 'POST',
      path: '/api/enrolment/requests/:id/approve',
      rule: { role: 'admin' },
      summary: 'Let a machine in that waits; it notices within seconds',
      answer: RequestView,
      handle: async (call) => viewRequest(await requests.approve(call.params.id ?? '', byOf(call))),
    },
    {
      method: 'POST',
      path: '/api/enrolment/requests/:id/refuse',
      rule: { role: 'admin' },
      summary: 'Refuse a machine that waits; the use of its token stays used',
      answer: RequestView,
      handle: async (call) => viewRequest(await requests.refuse(call.params.id ?? '', byOf(call))),
    },
  ]
}

function viewRequest(request: EnrolmentRequest): Static<typeof RequestView> {
  const { id, agentId, state, secretId, address, decidedBy } = request
  return {
    ...{ id, agentId, state, tokenId: secretId, address, decidedBy },
    about: JSON.parse(request.about),
    createdAt: isoTime(request.createdAt),
    expiresAt: isoTime(request.expiresAt),
    decidedAt: request.decidedAt === null ? null : isoTime(request.decidedAt),
  }
}

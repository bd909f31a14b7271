import type { FleetError } from '@fleetupdate/sdk'
import type { FastifyRequest } from 'fastify'
import { actorOf } from '../http/routes.ts'
import type { AuditEntry } from './entry.ts'

/** Codes that mean: somebody wanted what he may not. The login and the agents' signatures write rows of their own. */
const codes: ReadonlySet<string> = new Set([
  'FLT_AUTH_REQUIRED',
  'FLT_AUTH_FORBIDDEN',
  'FLT_AUTH_SLOW_DOWN',
  'FLT_HTTP_CROSS_SITE',
  'FLT_HTTP_HOST',
  'FLT_ENROL_REFUSED',
  'FLT_ENROL_ID_TAKEN',
])

type Asked = Pick<FastifyRequest, 'method' | 'ip'> &
  Partial<Pick<FastifyRequest, 'subject' | 'routeOptions' | 'headers'>>

/** The audit's words for a request that ended in this error; undefined where it was no refusal, or a page that nobody is signed in to yet. */
export function refusedRequest(error: FleetError, request: Asked): AuditEntry | undefined {
  if (!codes.has(error.code)) return undefined
  const { subject, headers } = request
  const carriesNothing = headers?.authorization === undefined && headers?.cookie === undefined
  if (error.code === 'FLT_AUTH_REQUIRED' && carriesNothing) return undefined
  return {
    actor: subject ? actorOf(subject) : { type: 'nobody', id: '' },
    action: 'request.refused',
    target: `${request.method} ${request.routeOptions?.url ?? ''}`.trim(),
    address: request.ip,
    details: { code: error.code },
  }
}

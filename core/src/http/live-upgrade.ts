import type { FastifyRequest } from 'fastify'
import type { Audit } from '../audit/create-audit.ts'
import { refusedRequest } from '../audit/refused-request.ts'
import type { People } from '../auth/create-people.ts'
import { fleetError } from '../errors.ts'
import type { LiveHub } from '../events/live.ts'
import type { ClientAddress } from './client-address.ts'
import { type ReportError, toFleetError } from './error-handler.ts'
import { refuseUpgrade, type UpgradeHandler } from './upgrades.ts'

/** Lets the browsers of people who are logged in open their live socket; a page of another site can't. */
export function acceptLive(deps: {
  readonly live: LiveHub
  readonly people: Pick<People, 'authenticate' | 'origins'>
  readonly report: ReportError
  readonly audit: Pick<Audit, 'refused'>
  readonly clientAddress: ClientAddress
}): UpgradeHandler {
  const { live, people, report, audit, clientAddress } = deps
  return (request, socket, head) => {
    const enter = async (): Promise<void> => {
      const { headers } = request
      if (!people.origins.isSameOrigin({ headers })) throw fleetError('FLT_HTTP_CROSS_SITE')
      // All that the check looks at: a method that changes nothing, and the headers.
      const subject = await people.authenticate({ headers, method: 'GET' } as FastifyRequest)
      if (!subject) throw fleetError('FLT_AUTH_REQUIRED')
      live.accept(request, socket, head, subject)
    }
    enter().catch((error: unknown) => {
      const known = toFleetError(error, report)
      const { headers, method = '' } = request
      const refusal = refusedRequest(known, { headers, method, ip: clientAddress(request) })
      if (refusal) audit.refused({ ...refusal, target: 'GET /api/ws' })
      refuseUpgrade(socket, known.status, known.toJSON())
    })
  }
}

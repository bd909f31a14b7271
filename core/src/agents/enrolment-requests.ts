import type { EnrolAbout } from '@fleetupdate/sdk/protocol'
import type { Audit } from '../audit/create-audit.ts'
import { fleetError } from '../errors.ts'
import type { EventBus } from '../events/bus.ts'
import type { Store, WriteStatement } from '../store/store.ts'
import type { ConcludeEnrolment, ProvenEnrolment } from './enrolment-conclusion.ts'
import type { RevokedBy } from './revocation.ts'
import type { AgentTables } from './tables.ts'

export type EnrolmentRequest = Omit<AgentTables['enrolment_requests'], 'state'> & {
  readonly state: AgentTables['enrolment_requests']['state'] | 'expired'
}

/** Machines that proved to know the secret, and wait for somebody to let them in. */
export interface EnrolmentRequests {
  /** Puts one into the queue, with `use` of its token in the same batch. */
  add(proven: ProvenEnrolment, use: readonly WriteStatement[]): Promise<void>
  /**
   * What to answer whoever proves again to be the one that waits: the confirmation is compared by the caller. Undefined where nothing of
   * this name waits or was refused.
   */
  find(
    id: string,
    agentId: string,
  ): Promise<(EnrolmentRequest & { agentConfirmation: string | null }) | undefined>
  /** What the machine says of itself; the first word counts. */
  describe(id: string, about: EnrolAbout): Promise<void>
  list(): Promise<readonly EnrolmentRequest[]>
  /** Throws FLT_ENROL_REQUEST_UNKNOWN where it does not wait any more, FLT_ENROL_ID_TAKEN where the id went to another meanwhile. */
  approve(id: string, by: RevokedBy): Promise<EnrolmentRequest>
  refuse(id: string, by: RevokedBy): Promise<EnrolmentRequest>
}

const waitMs = 24 * 3_600_000
const keepMs = 7 * 24 * 3_600_000
const mostWaiting = 1_000
const mostPerId = 5
const shown = 500

export function createEnrolmentRequests(deps: {
  readonly store: Store
  readonly audit: Audit
  readonly bus: EventBus
  readonly conclude: ConcludeEnrolment
  readonly now: () => number
}): EnrolmentRequests {
  const { store, audit, bus, conclude, now } = deps
  const { read } = store
  const seen = <T extends AgentTables['enrolment_requests']>(row: T) => ({
    ...row,
    state: row.state === 'waiting' && row.expiresAt <= now() ? ('expired' as const) : row.state,
  })

  const waiting = async (id: string) => {
    const row = await read
      .selectFrom('enrolment_requests')
      .innerJoin('enrolment_request_keys', 'enrolment_request_keys.id', 'enrolment_requests.id')
      .selectAll('enrolment_requests')
      .select(['kid', 'sealedRoot', 'agentConfirmation', 'serverConfirmation'])
      .where('enrolment_requests.id', '=', id)
      .where('state', '=', 'waiting')
      .where('expiresAt', '>', now())
      .executeTakeFirst()
    if (!row) throw fleetError('FLT_ENROL_REQUEST_UNKNOWN', { id: id.slice(0, 64) })
    return row
  }
  /** One of several who decide at the same moment gets through. */
  const decide = (id: string, state: 'approved' | 'refused', by: RevokedBy): WriteStatement[] => {
    const decision = { state, decidedAt: now(), decidedBy: by.actor.id }
    const update = read
      .updateTable('enrolment_requests')
      .set(decision)
      .where('id', '=', id)
      .where('state', '=', 'waiting')
      .compile()
    return [
      { sql: update.sql, parameters: update.parameters, expectedRows: 1 },
      read.deleteFrom('enrolment_request_keys').where('id', '=', id).compile(),
    ]
  }
  const decided = async (id: string): Promise<EnrolmentRequest> => {
    bus.emit('enrolment.changed', { id })
    return seen(
      await read.selectFrom('enrolment_requests').selectAll().where('id', '=', id).executeTakeFirstOrThrow(),
    )
  }

  return {
    async add({ transcript, sealedRoot, agentConfirmation, serverConfirmation, generation, client }, use) {
      const { agentId, secretId, kid, enrolmentId: id } = transcript
      const old = now() - keepMs
      await store.write([
        read.deleteFrom('enrolment_requests').where('expiresAt', '<', old).compile(),
        read
          .deleteFrom('enrolment_request_keys')
          .where('id', 'not in', (query) =>
            query
              .selectFrom('enrolment_requests')
              .select('id')
              .where('state', '=', 'waiting')
              .where('expiresAt', '>', now()),
          )
          .compile(),
      ])
      const count = async (only?: string): Promise<number> => {
        const query = read
          .selectFrom('enrolment_requests')
          .select((eb) => eb.fn.countAll<number>().as('count'))
          .where('state', '=', 'waiting')
          .where('expiresAt', '>', now())
        const row = await (only === undefined ? query : query.where('agentId', '=', only)).executeTakeFirst()
        return row?.count ?? 0
      }
      if ((await count()) >= mostWaiting || (await count(agentId)) >= mostPerId)
        throw fleetError('FLT_ENROL_BUSY', {}, { details: { seconds: 60 } })
      const times = { createdAt: now(), expiresAt: now() + waitMs, decidedAt: null, decidedBy: null }
      const row = {
        id,
        agentId,
        secretId,
        generation,
        address: client,
        about: '{}',
        state: 'waiting' as const,
      }
      await store.write([
        read
          .insertInto('enrolment_requests')
          .values({ ...row, ...times })
          .compile(),
        read
          .insertInto('enrolment_request_keys')
          .values({ id, kid, sealedRoot, agentConfirmation, serverConfirmation })
          .compile(),
        ...use,
        audit.row({
          actor: { type: 'agent', id: agentId },
          action: 'enrolment.requested',
          target: agentId,
          address: client,
          details: { secretId, request: id },
        }),
      ])
      bus.emit('enrolment.changed', { id })
    },
    async find(id, agentId) {
      const row = await read
        .selectFrom('enrolment_requests')
        .leftJoin('enrolment_request_keys', 'enrolment_request_keys.id', 'enrolment_requests.id')
        .selectAll('enrolment_requests')
        .select('agentConfirmation')
        .where('enrolment_requests.id', '=', id)
        .where('agentId', '=', agentId)
        .executeTakeFirst()
      return row && seen(row)
    },
    async describe(id, about) {
      await store.write([
        read
          .updateTable('enrolment_requests')
          .set({ about: JSON.stringify(about) })
          .where('id', '=', id)
          .where('about', '=', '{}')
          .compile(),
      ])
      bus.emit('enrolment.changed', { id })
    },
    async list() {
      const rows = await read
        .selectFrom('enrolment_requests')
        .selectAll()
        .orderBy('createdAt', 'desc')
        .orderBy('id')
        .limit(shown)
        .execute()
      return rows.map(seen)
    },
    async approve(id, by) {
      const { kid, sealedRoot, agentConfirmation, serverConfirmation, ...row } = await waiting(id)
      const { agentId, secretId, generation, address } = row
      const transcript = { agentId, secretId, kid, enrolmentId: id }
      const proven = {
        transcript,
        sealedRoot,
        agentConfirmation,
        serverConfirmation,
        generation,
        client: address,
      }
      await conclude(proven, [
        ...decide(id, 'approved', by),
        audit.row({ ...by, action: 'enrolment.approved', target: agentId, details: { request: id } }),
      ])
      return decided(id)
    },
    async refuse(id, by) {
      const { agentId } = await waiting(id)
      await store.write([
        ...decide(id, 'refused', by),
        audit.row({ ...by, action: 'enrolment.refused', target: agentId, details: { request: id } }),
      ])
      return decided(id)
    },
  }
}

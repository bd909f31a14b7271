import { randomBytes } from 'node:crypto'
import { FleetError } from '@fleetupdate/sdk'
import {
  confirmation,
  confirms,
  deriveRootKey,
  type EnrolFinished,
  type EnrolRequest,
  type EnrolStarted,
  equalBytes,
  newEphemeralKey,
  type Transcript,
} from '@fleetupdate/sdk/protocol'
import type { Audit } from '../audit/create-audit.ts'
import { type AgentKeys, rootContext } from '../auth/agent-keys.ts'
import type { Sealer } from '../auth/sealer.ts'
import { fleetError } from '../errors.ts'
import type { EventBus } from '../events/bus.ts'
import type { Store, WriteStatement } from '../store/store.ts'
import type { EnrolmentTokens } from './enrolment-tokens.ts'
import type { FleetIndex } from './fleet-index.ts'

type Start = Extract<EnrolRequest, { step: 'start' }>
type Finish = Extract<EnrolRequest, { step: 'finish' }>

/** Gives agents their identity, in the two steps of docs/reference/protocol.md section 1. */
export interface Enrolment {
  /** `client` is the address it came from; one address can only have so many enrolments open. */
  start(request: Start, client: string): Promise<EnrolStarted>
  /** The same answer for the same request, also after a restart. */
  finish(request: Finish): Promise<EnrolFinished>
}

export interface EnrolmentOptions {
  readonly store: Store
  readonly sealer: Sealer
  readonly audit: Audit
  readonly keys: AgentKeys
  readonly tokens: EnrolmentTokens
  readonly index: FleetIndex
  readonly bus: EventBus
  /** UTF-8 bytes of SERVER_PSK. */
  readonly psk: Uint8Array
  readonly now: () => number
}

interface Pending {
  readonly transcript: Transcript
  readonly root: Buffer
  readonly client: string
  readonly expiresMs: number
  /** What the id's row must still say when the enrolment ends; 0: no row. */
  readonly generation: number
  finishing: Promise<EnrolFinished> | undefined
}

const openMs = 5 * 60_000
const openAtOnce = 10_000
const openPerClient = 2_000

export function createEnrolment(options: EnrolmentOptions): Enrolment {
  const { store, sealer, audit, keys, tokens, index, bus, psk, now } = options
  const pending = new Map<string, Pending>()
  const perClient = new Map<string, number>()

  const close = (enrolmentId: string): void => {
    const open = pending.get(enrolmentId)
    if (!open || !pending.delete(enrolmentId)) return
    const left = (perClient.get(open.client) ?? 1) - 1
    if (left > 0) perClient.set(open.client, left)
    else perClient.delete(open.client)
  }
  /** All are open equally long, so that the oldest stand first. */
  const closeOld = (): void => {
    for (const [id, { expiresMs }] of pending) {
      if (expiresMs > now()) return
      close(id)
    }
  }

  const conclude = async (open: Pending, proof: string): Promise<EnrolFinished> => {
    const { transcript, root, generation, client } = open
    const { agentId, secretId, kid, enrolmentId } = transcript
    const answer = confirmation(root, 'server', transcript)
    const key = {
      kid,
      sealedRoot: sealer.seal(root, rootContext(agentId)),
      enrolmentId,
      agentConfirmation: proof,
      serverConfirmation: answer,
    }
    const use = secretId === 'psk' ? [] : tokens.useStatements(secretId)
    try {
      await store.write([
        agentStatement(store, agentId, generation, now()),
        store.read
          .insertInto('agent_keys')
          .values({ agentId, ...key })
          .onConflict((conflict) => conflict.column('agentId').doUpdateSet(key))
          .compile(),
        ...use,
        audit.row({
          actor: { type: 'agent', id: agentId },
          action: 'agent.enrolled',
          target: agentId,
          address: client,
          details: { secretId, generation: generation + 1 },
        }),
      ])
    } catch (error) {
      if (!isConflict(error)) throw error
      const isUsedUp = use.length > 0 && (await tokens.open(secretId)) === undefined
      throw isUsedUp ? fleetError('FLT_ENROL_REFUSED') : fleetError('FLT_ENROL_ID_TAKEN', { id: agentId })
    }
    keys.forget(agentId)
    index.put({
      id: agentId,
      generation: generation + 1,
      enrolledAt: now(),
      revoked: false,
      online: false,
      lastSeenMs: null,
      facets: index.get(agentId)?.facets ?? {},
    })
    bus.emit('agent.enrolled', { agentId })
    return { confirmation: answer, time: new Date(now()).toISOString() }
  }

  /** The answer of an enrolment that was already concluded, to whoever proves again to be its agent. */
  const repeated = async ({ agentId, enrolmentId, confirmation: proof }: Finish): Promise<EnrolFinished> => {
    const row = await store.read
      .selectFrom('agent_keys')
      .select(['enrolmentId', 'agentConfirmation', 'serverConfirmation'])
      .where('agentId', '=', agentId)
      .executeTakeFirst()
    if (row?.enrolmentId !== enrolmentId) throw fleetError('FLT_ENROL_EXPIRED')
    if (!equalBytes(Buffer.from(row.agentConfirmation), Buffer.from(proof)))
      throw fleetError('FLT_ENROL_REFUSED')
    return { confirmation: row.serverConfirmation, time: new Date(now()).toISOString() }
  }

  return {
    async start({ agentId, secretId, agentKey }, client) {
      closeOld()
      if (pending.size >= openAtOnce || (perClient.get(client) ?? 0) >= openPerClient)
        throw fleetError('FLT_ENROL_BUSY', {}, { details: { seconds: 60 } })
      const token = secretId === 'psk' ? undefined : await tokens.open(secretId)
      const isUsable = secretId === 'psk' || (token && (token.agentId ?? agentId) === agentId)
      const row = await store.read
        .selectFrom('agents')
        .select(['generation', 'revokedAt'])
        .where('id', '=', agentId)
        .executeTakeFirst()
      if (row && (token?.agentId !== agentId || row.revokedAt === null))
        throw fleetError('FLT_ENROL_ID_TAKEN', { id: agentId })
      const generation = row?.generation ?? 0
      const own = newEphemeralKey()
      const transcript: Transcript = {
        agentId,
        secretId,
        enrolmentId: randomBytes(16).toString('base64url'),
        kid: `k${generation + 1}`,
        agentKey,
        serverKey: own.publicKey,
      }
      // Whether the secret id is right is only told to who knows the secret: a wrong one goes on with a random secret.
      const secret = isUsable ? (token?.secret ?? psk) : randomBytes(32)
      const root = deriveOrRefuse(() => deriveRootKey(own, agentKey, secret, transcript))
      pending.set(transcript.enrolmentId, {
        transcript,
        root,
        client,
        generation,
        expiresMs: now() + openMs,
        finishing: undefined,
      })
      perClient.set(client, (perClient.get(client) ?? 0) + 1)
      const { enrolmentId, kid, serverKey } = transcript
      return { enrolmentId, kid, serverKey, time: new Date(now()).toISOString() }
    },
    async finish(request) {
      closeOld()
      const open = pending.get(request.enrolmentId)
      if (!open || open.transcript.agentId !== request.agentId) return repeated(request)
      if (!confirms(open.root, 'agent', open.transcript, request.confirmation)) {
        close(request.enrolmentId)
        throw fleetError('FLT_ENROL_REFUSED')
      }
      open.finishing ??= conclude(open, request.confirmation)
      try {
        const answer = await open.finishing
        close(request.enrolmentId)
        return answer
      } catch (error) {
        // A full disk or a busy database may be better at the next try; a verdict stands.
        if (error instanceof FleetError && error.code.startsWith('FLT_ENROL_')) close(request.enrolmentId)
        else open.finishing = undefined
        throw error
      }
    },
  }
}

/** Takes the id: a new row, or the row of an identity that was ended and not enrolled again meanwhile. */
function agentStatement(store: Store, id: string, generation: number, nowMs: number): WriteStatement {
  const fresh = { enrolledAt: nowMs, revokedAt: null, removedAt: null, generation: generation + 1 }
  const query =
    generation === 0
      ? store.read
          .insertInto('agents')
          .values({
            id,
            ...fresh,
            online: 0,
            onlineChangedAt: nowMs,
            lastSeenAt: null,
            agentVersion: null,
            bootId: null,
            executors: '[]',
            apps: '[]',
            factRevision: 0,
          })
          .onConflict((conflict) => conflict.doNothing())
          .compile()
      : store.read
          .updateTable('agents')
          .set({ ...fresh, lastSeenAt: null })
          .where('id', '=', id)
          .where('generation', '=', generation)
          .where('revokedAt', 'is not', null)
          .compile()
  return { sql: query.sql, parameters: query.parameters, expectedRows: 1 }
}

function isConflict(error: unknown): boolean {
  return error instanceof FleetError && error.code === 'FLT_STORE_CONFLICT'
}

function deriveOrRefuse(derive: () => Buffer): Buffer {
  try {
    return derive()
  } catch {
    throw fleetError('FLT_ENROL_REFUSED')
  }
}

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
import { rootContext } from '../auth/agent-keys.ts'
import type { Sealer } from '../auth/sealer.ts'
import { fleetError } from '../errors.ts'
import type { Store } from '../store/store.ts'
import { kidAfter } from './agent-kid.ts'
import type { ConcludeEnrolment } from './enrolment-conclusion.ts'
import type { EnrolmentRequests } from './enrolment-requests.ts'
import type { EnrolmentTokens } from './enrolment-tokens.ts'

type Start = Extract<EnrolRequest, { step: 'start' }>
type Finish = Extract<EnrolRequest, { step: 'finish' }>

/** Gives agents their identity, in the two steps of docs/reference/protocol.md section 1. */
export interface Enrolment {
  /** `client` is the address it came from; one address can only have so many enrolments open. */
  start(request: Start, client: string): Promise<EnrolStarted>
  /** The same answer for the same request, also after a restart. Throws FLT_ENROL_WAITING while somebody must approve it. */
  finish(request: Finish): Promise<EnrolFinished>
}

export interface EnrolmentOptions {
  readonly store: Store
  readonly sealer: Sealer
  readonly tokens: EnrolmentTokens
  readonly requests: EnrolmentRequests
  readonly conclude: ConcludeEnrolment
  /** Every enrolment waits until it is approved, whatever its token says. */
  readonly approveAll: boolean
  readonly now: () => number
}

interface Pending {
  readonly transcript: Transcript
  readonly root: Buffer
  readonly client: string
  readonly expiresMs: number
  /** What the id's row must still say when the enrolment ends; 0: no row. */
  readonly generation: number
  readonly approval: boolean
  finishing: Promise<EnrolFinished> | undefined
}

const openMs = 5 * 60_000
const openAtOnce = 10_000
const openPerClient = 2_000

export function createEnrolment(options: EnrolmentOptions): Enrolment {
  const { store, sealer, tokens, requests, now } = options
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
  const time = (): string => new Date(now()).toISOString()

  const conclude = async (open: Pending, proof: string): Promise<EnrolFinished> => {
    const { transcript, root, generation, client } = open
    const { agentId, secretId } = transcript
    const serverConfirmation = confirmation(root, 'server', transcript)
    const sealedRoot = sealer.seal(root, rootContext(agentId))
    const proven = {
      transcript,
      sealedRoot,
      agentConfirmation: proof,
      serverConfirmation,
      generation,
      client,
    }
    const use = tokens.useStatements(secretId)
    const usedUp = async () =>
      (await tokens.open(secretId)) === undefined ? fleetError('FLT_ENROL_REFUSED') : undefined
    if (!open.approval) {
      await options.conclude(proven, use, usedUp)
      return { confirmation: serverConfirmation, time: time() }
    }
    try {
      await requests.add(proven, use)
    } catch (error) {
      throw (await usedUp()) ?? error
    }
    throw fleetError('FLT_ENROL_WAITING', { id: agentId })
  }

  /** The answer of an enrolment that was already concluded or waits, to whoever proves again to be its agent. */
  const repeated = async (finish: Finish): Promise<EnrolFinished> => {
    const { agentId, enrolmentId, confirmation: proof } = finish
    const row = await store.read
      .selectFrom('agent_keys')
      .select(['enrolmentId', 'agentConfirmation', 'serverConfirmation'])
      .where('agentId', '=', agentId)
      .executeTakeFirst()
    if (row?.enrolmentId === enrolmentId) {
      requireProof(proof, row.agentConfirmation)
      return { confirmation: row.serverConfirmation, time: time() }
    }
    const request = await requests.find(enrolmentId, agentId)
    if (request?.state === 'refused') throw fleetError('FLT_ENROL_DECLINED', { id: agentId })
    if (request?.state !== 'waiting') throw fleetError('FLT_ENROL_EXPIRED')
    requireProof(proof, request.agentConfirmation ?? '')
    if (finish.about && request.about === '{}') await requests.describe(enrolmentId, finish.about)
    throw fleetError('FLT_ENROL_WAITING', { id: agentId })
  }

  return {
    async start({ agentId, secretId, agentKey }, client) {
      closeOld()
      if (pending.size >= openAtOnce || (perClient.get(client) ?? 0) >= openPerClient)
        throw fleetError('FLT_ENROL_BUSY', {}, { details: { seconds: 60 } })
      const token = await tokens.open(secretId)
      const row = await store.read
        .selectFrom('agents')
        .leftJoin('agent_keys', 'agent_keys.agentId', 'agents.id')
        .leftJoin('agent_next_keys', 'agent_next_keys.agentId', 'agents.id')
        .select(['generation', 'revokedAt', 'agent_keys.kid', 'agent_next_keys.kid as nextKid'])
        .where('agents.id', '=', agentId)
        .executeTakeFirst()
      if (row && (token?.agentId !== agentId || row.revokedAt === null))
        throw fleetError('FLT_ENROL_ID_TAKEN', { id: agentId })
      const generation = row?.generation ?? 0
      const own = newEphemeralKey()
      const transcript: Transcript = {
        agentId,
        secretId,
        enrolmentId: randomBytes(16).toString('base64url'),
        kid: kidAfter(row?.nextKid ?? row?.kid ?? `k${generation}`),
        agentKey,
        serverKey: own.publicKey,
      }
      // Whether the secret id is right is only told to who knows the secret: a wrong one goes on with a random secret.
      const secret = token?.enrols(agentId) ? token.secret : randomBytes(32)
      const root = deriveOrRefuse(() => deriveRootKey(own, agentKey, secret, transcript))
      pending.set(transcript.enrolmentId, {
        transcript,
        root,
        client,
        generation,
        // Whoever reset an id and gave away its token has approved already.
        approval: (options.approveAll && token?.agentId !== agentId) || token?.approval === true,
        expiresMs: now() + openMs,
        finishing: undefined,
      })
      perClient.set(client, (perClient.get(client) ?? 0) + 1)
      const { enrolmentId, kid, serverKey } = transcript
      return { enrolmentId, kid, serverKey, time: time() }
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

function requireProof(given: string, expected: string): void {
  if (!equalBytes(Buffer.from(given), Buffer.from(expected))) throw fleetError('FLT_ENROL_REFUSED')
}

function deriveOrRefuse(derive: () => Buffer): Buffer {
  try {
    return derive()
  } catch {
    throw fleetError('FLT_ENROL_REFUSED')
  }
}

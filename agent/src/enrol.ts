import {
  confirmation,
  confirms,
  deriveRootKey,
  EnrolFinished,
  EnrolStarted,
  newEphemeralKey,
} from '@fleetupdate/sdk/protocol'
import { aboutThisMachine } from './about.ts'
import { createCheck, parseJson } from './check.ts'
import { agentError } from './errors.ts'
import type { SendHttp } from './http-request.ts'
import type { Identity, IdentityStore } from './identity.ts'
import { oneLine } from './log.ts'
import { ErrorAnswer, type PendingEnrolment } from './schemas.ts'

export interface EnrolOptions {
  readonly agentId: string
  /** SERVER_PSK, or a token `fle_<id>_<secret>`. */
  readonly psk: string
  readonly serverUrl: string
  readonly send: SendHttp
  readonly store: IdentityStore
  readonly signal: AbortSignal
}

const startedCheck = createCheck(EnrolStarted)
const finishedCheck = createCheck(EnrolFinished)
const refusalCheck = createCheck(ErrorAnswer)
const waiting = 'FLT_ENROL_WAITING'

/**
 * Enrols once: finishes a pending enrolment, else starts a new one. Both sides prove that they know the secret, so that no other server can
 * take the agent. Throws FLT_ENROL_REFUSED (the server said no), FLT_ENROL_WAITING (somebody must approve), FLT_ENROL_IMPOSTOR (it does not know the secret), FLT_LINK_….
 */
export async function enrol(options: EnrolOptions): Promise<Identity> {
  const pending = await options.store.pending()
  // The answer to an earlier `finish` may have been lost: the server gives it again.
  if (pending?.agentId === options.agentId) {
    const answer = await finish(options, pending)
    if (answer.status === 200) return adopt(options, pending, answer.body)
    // Whoever was refused by a person asks the same again, and not for a new place in the queue.
    const isDeclined = codeOf(answer) === 'FLT_ENROL_DECLINED'
    if (isDeclined || (answer.status !== 410 && answer.status !== 403)) throw refused(options, answer)
  }
  const started = await start(options)
  await options.store.savePending(started)
  const answer = await finish(options, started)
  if (answer.status !== 200) throw refused(options, answer)
  return adopt(options, started, answer.body)
}

/** The name a secret goes by, and its bytes: a token carries its id, all else is the shared key. */
export function readSecret(psk: string): { readonly secretId: string; readonly secret: Buffer } {
  const token = /^fle_([A-Za-z0-9-]{1,64})_(.+)$/.exec(psk)
  const [, secretId = 'psk', secret = psk] = token ?? []
  return { secretId, secret: Buffer.from(secret, 'utf8') }
}

interface Answer {
  readonly status: number
  readonly body: unknown
}

async function start(options: EnrolOptions): Promise<PendingEnrolment> {
  const { agentId } = options
  const { secretId, secret } = readSecret(options.psk)
  const own = newEphemeralKey()
  const answer = await post(options, { step: 'start', agentId, secretId, agentKey: own.publicKey })
  if (answer.status !== 200) throw refused(options, answer)
  if (!startedCheck.accepts(answer.body)) throw untrusted(options, startedCheck.problem(answer.body))
  const { enrolmentId, kid, serverKey } = answer.body
  const transcript = { agentId, secretId, enrolmentId, kid, agentKey: own.publicKey, serverKey }
  let root: Buffer
  try {
    root = deriveRootKey(own, serverKey, secret, transcript)
  } catch {
    throw untrusted(options, 'its public key cannot be used')
  }
  return {
    ...transcript,
    rootKey: root.toString('base64url'),
    confirmation: confirmation(root, 'agent', transcript),
  }
}

async function finish(options: EnrolOptions, pending: PendingEnrolment): Promise<Answer> {
  const { agentId, enrolmentId, confirmation: proof } = pending
  const request = { step: 'finish', agentId, enrolmentId, confirmation: proof }
  const answer = await post(options, request)
  // Who must decide wants to know whom about; a server that knows no approval would refuse this member.
  return codeOf(answer) === waiting ? post(options, { ...request, about: aboutThisMachine() }) : answer
}

function codeOf({ body }: Answer): string {
  return refusalCheck.accepts(body) ? body.code : ''
}

async function adopt(options: EnrolOptions, pending: PendingEnrolment, body: unknown): Promise<Identity> {
  const root = Buffer.from(pending.rootKey, 'base64url')
  if (!finishedCheck.accepts(body) || !confirms(root, 'server', pending, body.confirmation))
    throw agentError('FLT_ENROL_IMPOSTOR', { url: options.serverUrl })
  return options.store.adopt(pending)
}

async function post(options: EnrolOptions, value: unknown): Promise<Answer> {
  const { status, body } = await options.send({
    method: 'POST',
    path: '/api/agent/enroll',
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify(value)),
    timeoutMs: 15_000,
    signal: options.signal,
  })
  return { status, body: parseJson(body.toString('utf8')) }
}

function refused({ agentId, serverUrl }: EnrolOptions, { status, body }: Answer): Error {
  if (!refusalCheck.accepts(body))
    return agentError('FLT_LINK_FAILED', { url: serverUrl, way: 'HTTP', problem: `it answered ${status}` })
  const { code, message } = body
  if (code === waiting) return agentError('FLT_ENROL_WAITING', { id: agentId, url: serverUrl })
  return agentError(
    'FLT_ENROL_REFUSED',
    { id: agentId, reason: oneLine(`${message} (${code})`) },
    { details: { code } },
  )
}

function untrusted({ serverUrl }: EnrolOptions, problem = 'its answer does not fit'): Error {
  return agentError('FLT_LINK_UNTRUSTED', { url: serverUrl, problem })
}

import { AgentFrame, EnrolRequest, PollRequest } from '@fleetupdate/sdk/protocol'
import { Compile } from 'typebox/compile'

type Check = { Check(value: unknown): boolean }

const checks: Readonly<Record<string, Check>> = Object.fromEntries(
  Object.entries(AgentFrame).map(([type, schema]) => [type, Compile(schema)]),
)
const pollCheck = Compile(PollRequest)
const enrolCheck = Compile(EnrolRequest)

export type ReadFrame =
  | { readonly kind: 'frame'; readonly frame: AgentFrame }
  /** Of a type this server does not know: newer agents may say more. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'malformed' }

const unknown = { kind: 'unknown' } as const
const malformed = { kind: 'malformed' } as const

/** What an agent sent, checked against the schema of its type. */
export function readFrame(value: unknown): ReadFrame {
  if (typeof value !== 'object' || value === null || !('type' in value) || typeof value.type !== 'string')
    return malformed
  if (!Object.hasOwn(checks, value.type)) return unknown
  return isFrame(value, value.type) ? { kind: 'frame', frame: value } : malformed
}

/** The same from text. */
export function parseFrame(text: string): ReadFrame {
  try {
    return readFrame(JSON.parse(text))
  } catch {
    return malformed
  }
}

export function isPollRequest(value: unknown): value is PollRequest {
  return pollCheck.Check(value)
}

export function isEnrolRequest(value: unknown): value is EnrolRequest {
  return enrolCheck.Check(value)
}

function isFrame(value: unknown, type: string): value is AgentFrame {
  return checks[type]?.Check(value) === true
}

import { createHmac, timingSafeEqual } from 'node:crypto'
import { type Static, type TSchema, Type } from '@fleetupdate/sdk'
import { Compile } from 'typebox/compile'
import { legacyError } from './errors.ts'

const text = (maxLength: number) => Type.String({ maxLength })
const Id = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' })
const optional = Type.Optional(Type.Unknown())

/** What an old agent reports; only `agent_id` is sure to be there. */
export const Heartbeat = Type.Object({
  agent_id: Id,
  agent_version: optional,
  os_update: Type.Optional(Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Null()])),
})
export const Chunk = Type.Object({ command_id: text(64), chunk: Type.String() })
export const Result = Type.Object({
  command_id: text(64),
  status: Type.Union([text(200), Type.Number(), Type.Boolean()]),
  output: optional,
  duration: optional,
  logs: optional,
})
export type Heartbeat = Static<typeof Heartbeat>
export type Result = Static<typeof Result>

/** Whether the hex HMAC-SHA256 of these bytes with the secret is that; in constant time. */
export function isSigned(bytes: Buffer, signature: string, secret: string): boolean {
  const expected = createHmac('sha256', secret).update(bytes).digest()
  const given = /^[0-9a-f]{64}$/i.test(signature) ? Buffer.from(signature, 'hex') : Buffer.alloc(32)
  return timingSafeEqual(expected, given)
}

/** Holds a body against its schema. Throws FLT_LEGACY_BODY. */
export function createReader<S extends TSchema>(schema: S): (body: unknown) => Static<S> {
  const check = Compile(schema)
  return (body) => {
    if (check.Check(body)) return body
    const [problem] = check.Errors(body)
    throw legacyError('FLT_LEGACY_BODY', {
      problem: problem ? `${problem.instancePath || 'the body'} ${problem.message}` : 'it does not fit',
    })
  }
}

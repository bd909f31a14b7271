import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Audit } from '../audit/create-audit.ts'
import { fleetError } from '../errors.ts'
import { byOf, type Route } from '../http/routes.ts'
import { serverUrlOf } from '../install/routes.ts'
import type { Store } from '../store/store.ts'
import type { EnrolmentTokens } from './enrolment-tokens.ts'
import { invitationLine } from './invitation.ts'
import { isoTime } from './view.ts'

export interface TokenRouteDeps {
  readonly store: Store
  readonly tokens: EnrolmentTokens
  readonly audit: Audit
  readonly publicUrls: readonly URL[]
  /** SHA-256 of the installer for machines that reach this server by that address. */
  installerSha256(serverUrl: string): string | undefined
  readonly now: () => number
}

const agentIdPattern = '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'
const closed = { additionalProperties: false }
const Maybe = (schema: ReturnType<typeof Type.String> | ReturnType<typeof Type.Integer>) =>
  Type.Union([schema, Type.Null()])
const TokenView = Type.Object({
  id: Type.String(),
  state: Type.Enum(['open', 'used', 'expired', 'ended']),
  standing: Type.Boolean({
    description: 'SERVER_PSK: enrols any new id, without limit, as long as it is set',
  }),
  agentId: Maybe(Type.String()),
  uses: Maybe(Type.Integer()),
  used: Type.Integer(),
  note: Type.String(),
  createdBy: Type.String(),
  createdAt: Maybe(Type.String()),
  expiresAt: Maybe(Type.String()),
})
const Terms = Type.Object(
  {
    agentId: Type.Optional(
      Type.String({
        pattern: agentIdPattern,
        description: 'The only id it enrols, once; default: any new id',
      }),
    ),
    uses: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, description: 'Default 1' })),
    ttlSeconds: Type.Optional(
      Type.Integer({ minimum: 60, maximum: 2_592_000, description: 'Default 3600; at most 30 days' }),
    ),
    note: Type.Optional(Type.String({ maxLength: 200 })),
  },
  closed,
)
const terms = Compile(Terms)
const shown = 500

/** Enrolment tokens for admins: made, listed without their secrets, ended. */
export function tokenRoutes(deps: TokenRouteDeps): readonly Route[] {
  const { store, tokens, audit, now } = deps
  return [
    {
      method: 'GET',
      path: '/api/enrolment/tokens',
      rule: { role: 'admin' },
      summary: 'Enrolment tokens, the newest 500, and SERVER_PSK as a standing one',
      answer: Type.Object({ items: Type.Array(TokenView) }),
      async handle() {
        const rows = await store.read
          .selectFrom('enrolment_tokens')
          .selectAll()
          .orderBy('createdAt', 'desc')
          .orderBy('id')
          .limit(shown)
          .execute()
        const items = rows.map(({ createdAt, expiresAt, usedAt, ...row }) => ({
          ...row,
          standing: false,
          state: stateOf({ ...row, expiresAt, usedAt }, now()),
          createdAt: isoTime(createdAt),
          expiresAt: isoTime(expiresAt),
        }))
        return { items: [standing, ...items] }
      },
    },
    {
      method: 'POST',
      path: '/api/enrolment/tokens',
      rule: { role: 'admin' },
      summary: 'Make an enrolment token; the answer alone holds its secret, and the line to paste on the VM',
      body: Terms,
      answer: Type.Object({
        id: Type.String(),
        token: Type.String(),
        agentId: Maybe(Type.String()),
        uses: Type.Integer(),
        expiresAt: Type.String(),
        command: Type.String(),
      }),
      status: 201,
      async handle(call) {
        const { agentId = null, uses = 1, ttlSeconds = 3600, note = '' } = readTerms(call.body)
        if (agentId !== null && uses !== 1)
          throw fleetError('FLT_HTTP_INVALID', { problem: 'a token for one id is used once' })
        if (agentId !== null) await requireFree(store, agentId)
        const made = tokens.create({
          ...{ agentId, uses, note, lifeMs: ttlSeconds * 1000 },
          createdBy: call.subject.name,
        })
        const { id, token, expiresAtMs, statements } = made
        const details = { agentId, uses, ttlSeconds }
        await store.write([
          ...statements,
          audit.row({ ...byOf(call), action: 'enrolment-token.created', target: id, details }),
        ])
        const serverUrl = serverUrlOf(deps.publicUrls, call.request)
        const installerSha256 = deps.installerSha256(serverUrl)
        const command = invitationLine({ agentId, token, serverUrl, installerSha256 })
        return { id, token, agentId, uses, expiresAt: isoTime(expiresAtMs), command }
      },
    },
    {
      method: 'DELETE',
      path: '/api/enrolment/tokens/:id',
      rule: { role: 'admin' },
      summary: 'End an enrolment token; agents it enrolled stay',
      answer: Type.Object({ id: Type.String() }),
      async handle(call) {
        const { id = '' } = call.params
        if (id === standing.id) throw fleetError('FLT_ENROL_TOKEN_STANDING')
        const row = await store.read
          .selectFrom('enrolment_tokens')
          .select('usedAt')
          .where('id', '=', id)
          .executeTakeFirst()
        if (!row || row.usedAt !== null) throw fleetError('FLT_ENROL_TOKEN_UNKNOWN', { id: id.slice(0, 64) })
        await store.write([
          ...tokens.endStatements(id),
          audit.row({ ...byOf(call), action: 'enrolment-token.ended', target: id }),
        ])
        return { id }
      },
    },
  ]
}

/** Whether a text can be the id of an agent. */
export function isAgentId(text: string): boolean {
  return new RegExp(agentIdPattern).test(text)
}

/** Throws FLT_ENROL_ID_TAKEN for an id that is or was enrolled: that one is reset, not invited. */
export async function requireFree(store: Store, agentId: string): Promise<void> {
  const query = store.read.selectFrom('agents').select('id').where('id', '=', agentId)
  if (await query.executeTakeFirst()) throw fleetError('FLT_ENROL_ID_TAKEN', { id: agentId })
}

const standing = {
  id: 'psk',
  state: 'open',
  standing: true,
  agentId: null,
  uses: null,
  used: 0,
  note: 'SERVER_PSK',
  createdBy: '',
  createdAt: null,
  expiresAt: null,
}

function stateOf(
  { uses, used, usedAt, expiresAt }: { uses: number; used: number; usedAt: number | null; expiresAt: number },
  nowMs: number,
): 'open' | 'used' | 'expired' | 'ended' {
  if (usedAt !== null) return used >= uses ? 'used' : 'ended'
  return expiresAt > nowMs ? 'open' : 'expired'
}

function readTerms(body: unknown): Static<typeof Terms> {
  const value = body ?? {}
  if (terms.Check(value)) return value
  throw fleetError('FLT_HTTP_INVALID', { problem: 'the body does not fit' })
}

import { sql } from 'kysely'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Audit } from '../audit/create-audit.ts'
import { fleetError } from '../errors.ts'
import { byOf, type Route } from '../http/routes.ts'
import { serverUrlOf } from '../install/routes.ts'
import type { Store } from '../store/store.ts'
import { type EnrolmentTokens, standingId } from './enrolment-tokens.ts'
import { invitationLine } from './invitation.ts'
import type { AgentTables } from './tables.ts'
import { isoTime } from './view.ts'

export interface TokenRouteDeps {
  readonly store: Store
  readonly tokens: EnrolmentTokens
  readonly audit: Audit
  readonly publicUrls: readonly URL[]
  /** SHA-256 of the installer for machines that reach this server by that address. */
  installerSha256(serverUrl: string): string | undefined
  /** SERVER_PSK is set. */
  readonly hasPsk: boolean
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
  group: Maybe(Type.String()),
  approval: Type.Boolean({ description: 'Whoever enrols with it waits until an admin approves' }),
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
    group: Type.Optional(
      Type.String({
        maxLength: 64,
        pattern: '^[A-Za-z0-9._-]*(\\*[A-Za-z0-9._-]*){0,4}$',
        minLength: 1,
        description: 'The new ids it enrols, `*` for any signs (`web-*`); default: any',
      }),
    ),
    approval: Type.Optional(
      Type.Boolean({ description: 'Each enrolment waits until an admin approves; default false' }),
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
const Standing = Type.Object({ approval: Type.Optional(Type.Boolean()) }, closed)
const standingTerms = Compile(Standing)
const shown = 500

/** Enrolment tokens for admins: made, listed without their secrets, ended. */
export function tokenRoutes(deps: TokenRouteDeps): readonly Route[] {
  const { store, tokens, audit, now } = deps
  return [
    {
      method: 'GET',
      path: '/api/enrolment/tokens',
      rule: { role: 'admin' },
      summary: 'Enrolment tokens, the newest 500; SERVER_PSK first, as a standing one, where it is set',
      answer: Type.Object({ items: Type.Array(TokenView) }),
      async handle() {
        const rows = await store.read
          .selectFrom('enrolment_tokens')
          .selectAll()
          .where((eb) => eb.or([eb('id', '!=', standingId), eb.val(deps.hasPsk ? 1 : 0)]))
          .orderBy(sql`"id" = ${standingId}`, 'desc')
          .orderBy('createdAt', 'desc')
          .orderBy('id')
          .limit(shown)
          .execute()
        const items = rows.map((row) => viewToken(row, now()))
        return {
          items: [...items.filter((item) => item.standing), ...items.filter((item) => !item.standing)],
        }
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
        group: Maybe(Type.String()),
        approval: Type.Boolean(),
        uses: Type.Integer(),
        expiresAt: Type.String(),
        command: Type.String(),
      }),
      status: 201,
      async handle(call) {
        const { agentId = null, group = null, uses = 1, ttlSeconds = 3600, ...more } = readTerms(call.body)
        const { note = '', approval = false } = more
        if (agentId !== null && (uses !== 1 || group !== null))
          throw fleetError('FLT_HTTP_INVALID', {
            problem: 'a token for one id is used once, and has no group',
          })
        if (agentId !== null) await requireFree(store, agentId)
        const made = tokens.create({
          ...{ agentId, idPattern: group, approval, uses, note, lifeMs: ttlSeconds * 1000 },
          createdBy: call.subject.name,
        })
        const { id, token, expiresAtMs, statements } = made
        const details = { agentId, group, approval, uses, ttlSeconds }
        await store.write([
          ...statements,
          audit.row({ ...byOf(call), action: 'enrolment-token.created', target: id, details }),
        ])
        const serverUrl = serverUrlOf(deps.publicUrls, call.request)
        const installerSha256 = deps.installerSha256(serverUrl)
        const command = invitationLine({ agentId, token, serverUrl, installerSha256 })
        return { id, token, agentId, group, approval, uses, expiresAt: isoTime(expiresAtMs), command }
      },
    },
    {
      method: 'DELETE',
      path: '/api/enrolment/tokens/:id',
      rule: { role: 'admin' },
      summary: 'End an enrolment token, also the standing one (`psk`); agents it enrolled stay',
      answer: Type.Object({ id: Type.String() }),
      async handle(call) {
        const { id = '' } = call.params
        if (id === standingId && !deps.hasPsk) throw fleetError('FLT_ENROL_TOKEN_STANDING')
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
    {
      method: 'POST',
      path: '/api/enrolment/tokens/psk',
      rule: { role: 'admin' },
      summary: 'Let SERVER_PSK enrol agents (again), with or without approval',
      body: Standing,
      answer: TokenView,
      async handle(call) {
        if (!deps.hasPsk) throw fleetError('FLT_ENROL_TOKEN_STANDING')
        const { approval = false } = isStanding(call.body) ? call.body : {}
        const details = { approval }
        await store.write([
          tokens.reopenStanding(details),
          audit.row({ ...byOf(call), action: 'enrolment-token.opened', target: standingId, details }),
        ])
        const query = store.read.selectFrom('enrolment_tokens').selectAll().where('id', '=', standingId)
        return viewToken(await query.executeTakeFirstOrThrow(), now())
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

function viewToken(row: AgentTables['enrolment_tokens'], nowMs: number): Static<typeof TokenView> {
  const { id, agentId, idPattern: group, used, note, createdBy, createdAt, expiresAt } = row
  const standing = id === standingId
  return {
    ...{ id, agentId, group, used, note, createdBy, standing },
    approval: row.approval === 1,
    uses: row.uses === 0 ? null : row.uses,
    state: stateOf(row, nowMs),
    createdAt: standing ? null : isoTime(createdAt),
    expiresAt: standing ? null : isoTime(expiresAt),
  }
}

function isStanding(body: unknown): body is Static<typeof Standing> {
  return standingTerms.Check(body)
}

function stateOf(
  { uses, used, usedAt, expiresAt }: { uses: number; used: number; usedAt: number | null; expiresAt: number },
  nowMs: number,
): 'open' | 'used' | 'expired' | 'ended' {
  if (usedAt !== null) return uses > 0 && used >= uses ? 'used' : 'ended'
  return expiresAt > nowMs ? 'open' : 'expired'
}

function readTerms(body: unknown): Static<typeof Terms> {
  const value = body ?? {}
  if (terms.Check(value)) return value
  throw fleetError('FLT_HTTP_INVALID', { problem: 'the body does not fit' })
}

import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { byOf, type Route, type RouteCall } from '../http/routes.ts'
import { serverUrlOf } from '../install/routes.ts'
import { invitationLine } from './invitation.ts'
import type { KeyRotation } from './key-rotation.ts'
import type { Quarantine } from './quarantine.ts'
import type { Revocation } from './revocation.ts'

const Way = Type.Object(
  {
    way: Type.Optional(
      Type.Enum(['reset', 'restored'], {
        description:
          '`reset` (default): the identity ends, and one machine gets a new one with the invitation in the answer. `restored`: there is one machine alone, whose snapshot was restored; its identity stays',
      }),
    ),
  },
  { additionalProperties: false },
)
const way = Compile(Way)

/** Keys and quarantine of agents, for admins. */
export function trustRoutes(deps: {
  readonly rotation: KeyRotation
  readonly quarantine: Quarantine
  readonly revocation: Revocation
  readonly publicUrls: readonly URL[]
  /** SHA-256 of the installer for machines that reach this server by that address. */
  installerSha256(serverUrl: string): string | undefined
}): readonly Route[] {
  const { rotation, quarantine, revocation } = deps
  /** Ends an identity, and makes the line with which this id enrols again. */
  const reset = async (id: string, call: RouteCall) => {
    const { token, expiresAt } = await revocation.reset(id, byOf(call))
    const serverUrl = serverUrlOf(deps.publicUrls, call.request)
    const installerSha256 = deps.installerSha256(serverUrl)
    return { token, expiresAt, command: invitationLine({ agentId: id, token, serverUrl, installerSha256 }) }
  }
  return [
    {
      method: 'POST',
      path: '/api/agents/:id/reset',
      rule: { role: 'admin' },
      summary:
        'End the identity of an agent and get a token, valid for one hour, with which this id can enrol again; and the line to paste',
      answer: Type.Object({
        id: Type.String(),
        token: Type.String(),
        expiresAt: Type.String(),
        command: Type.String(),
      }),
      async handle(call) {
        const { id = '' } = call.params
        return { id, ...(await reset(id, call)) }
      },
    },
    {
      method: 'POST',
      path: '/api/agents/:id/keys/rotate',
      rule: { role: 'admin' },
      summary: 'Give an agent a new key: at once where it is connected, else when it is back',
      answer: Type.Object({ id: Type.String(), state: Type.Enum(['begun', 'waiting']) }),
      status: 202,
      handle: (call) => rotation.want(call.params.id ?? '', byOf(call)),
    },
    {
      method: 'POST',
      path: '/api/agents/:id/release',
      rule: { role: 'admin' },
      summary: 'End the quarantine of an agent',
      body: Way,
      answer: Type.Object({
        id: Type.String(),
        way: Type.Enum(['reset', 'restored']),
        token: Type.Optional(Type.String()),
        expiresAt: Type.Optional(Type.String()),
        command: Type.Optional(Type.String()),
      }),
      async handle(call) {
        const { id = '' } = call.params
        if (way.Check(call.body) && call.body.way === 'restored') {
          await quarantine.release(id, byOf(call))
          return { id, way: 'restored' }
        }
        quarantine.require(id)
        return { id, way: 'reset', ...(await reset(id, call)) }
      },
    },
  ]
}

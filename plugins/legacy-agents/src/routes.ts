import { type PluginContext, Type } from '@fleetupdate/sdk'
import type { FastifyRequest } from 'fastify'
import { legacyError } from './errors.ts'
import type { OldAgents } from './old-agents.ts'
import { Chunk, createReader, Heartbeat, isSigned, Result } from './wire.ts'

const readHeartbeat = createReader(Heartbeat)
const readChunk = createReader(Chunk)
const readResult = createReader(Result)
const readSecret = createReader(
  Type.Object({ secret: Type.String({ minLength: 8, maxLength: 1024 }) }, { additionalProperties: false }),
)
/** What an old agent signs where it sends nothing. */
const nothing = Buffer.from('{}')
const secretKey = 'psk'
const open = { config: { role: 'public' } } as const
const adminOnly = { config: { role: 'admin' } } as const

/** The four routes of the first FleetUpdate's agents, and the one that sets their secret. */
export function registerRoutes(
  { http, secrets }: Pick<PluginContext, 'http' | 'secrets'>,
  old: OldAgents,
): void {
  /** Who signed this; the id is only what the signer says. Throws FLT_LEGACY_SIGNATURE. */
  const signer = async (request: FastifyRequest, signed: Buffer): Promise<string> => {
    const secret = await secrets.get(secretKey)
    if (secret === undefined) throw legacyError('FLT_LEGACY_NO_SECRET')
    const agentId = String(request.headers['x-agent-id'] ?? '')
    const signature = String(request.headers['x-signature'] ?? '')
    if (!isSigned(signed, signature, secret) || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(agentId))
      throw legacyError('FLT_LEGACY_SIGNATURE')
    return agentId
  }
  const ofBody = (request: FastifyRequest): Promise<string> =>
    signer(request, (request as { readonly rawBody?: Buffer }).rawBody ?? Buffer.alloc(0))

  http.root.post('/api/heartbeat', open, async (request) => {
    const agentId = await ofBody(request)
    const heartbeat = readHeartbeat(request.body)
    if (heartbeat.agent_id !== agentId) throw legacyError('FLT_LEGACY_SIGNATURE')
    await old.heartbeat(heartbeat)
    return { status: 'ok' }
  })
  http.root.get('/api/agents/:id/next-command', open, async (request) => {
    const agentId = await signer(request, nothing)
    if ((request.params as { readonly id: string }).id !== agentId) throw legacyError('FLT_LEGACY_SIGNATURE')
    return old.next(agentId)
  })
  http.root.post('/api/command-chunk', open, async (request) => {
    const agentId = await ofBody(request)
    const { command_id, chunk } = readChunk(request.body)
    await old.chunk(agentId, command_id, chunk)
    return { status: 'ok' }
  })
  http.root.post('/api/command-result', open, async (request) => {
    const agentId = await ofBody(request)
    await old.result(agentId, readResult(request.body))
    return { status: 'ok' }
  })
  http.get('/secret', adminOnly, async () => ({ set: (await secrets.get(secretKey)) !== undefined }))
  http.put('/secret', adminOnly, async (request) => {
    const { secret } = readSecret(request.body)
    await secrets.set(secretKey, secret)
    return { set: true }
  })
  http.delete('/secret', adminOnly, async () => {
    await secrets.set(secretKey, undefined)
    return { set: false }
  })
}

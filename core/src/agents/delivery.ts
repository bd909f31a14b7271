import { FleetError, type Log } from '@fleetupdate/sdk'
import { limits, type WantedExecutor, type WantedExecutors } from '@fleetupdate/sdk/protocol'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { AgentSignatures } from '../auth/agent-signatures.ts'
import { fleetError } from '../errors.ts'
import type { EventBus } from '../events/bus.ts'
import type { Presence } from './presence.ts'

/** The signed bundles that this server has for its agents; the plugins' room implements it. */
export interface DeliverableBundles {
  /** Those whose plugin is active and brings an executor. */
  wanted(): readonly WantedExecutor[]
  /** At most `length` bytes of a bundle from an offset; undefined where it is not among the wanted. */
  read(sha256: string, from: number, length: number): Promise<Buffer | undefined>
}

/** Tells agents which executors this server has for them, and hands out their bundles in parts (docs/reference/protocol.md section 7). */
export interface Delivery {
  wanted(): WantedExecutors
  /** Answers GET /api/agent/bundles/:sha256 itself, signed; throws only where the request's signature is wrong. */
  handle(request: FastifyRequest, reply: FastifyReply, sha256: string, from: number): Promise<void>
  dispose(): void
}

export interface DeliveryOptions {
  readonly bundles: DeliverableBundles
  readonly signatures: AgentSignatures
  readonly presence: Pick<Presence, 'sendAll' | 'liveCount'>
  readonly bus: EventBus
  readonly log: Log
}

/** A change is told after this time, so that several at once are one frame. */
const settleMs = 250
/** Agents that may begin in one second. */
const agentsPerSecond = 200
/** Parts that are on their way at once; the rest is told to come again. */
const partsAtOnce = 32
const retrySeconds = 5

export function createDelivery({ bundles, signatures, presence, bus, log }: DeliveryOptions): Delivery {
  let told = JSON.stringify(bundles.wanted())
  let timer: NodeJS.Timeout | undefined
  let parts = 0

  const wanted = (): WantedExecutors => ({
    items: [...bundles.wanted()],
    spreadSeconds: Math.min(3600, Math.floor(presence.liveCount / agentsPerSecond)),
  })
  const tell = (): void => {
    timer = undefined
    const now = JSON.stringify(bundles.wanted())
    if (now === told) return
    told = now
    presence.sendAll({ type: 'executors', wanted: wanted() })
  }
  const end = bus.on('plugin.changed', () => {
    timer ??= setTimeout(tell, settleMs)
  })

  const readPart = async (reply: FastifyReply, sha256: string, from: number): Promise<Buffer> => {
    if (parts >= partsAtOnce) throw fleetError('FLT_DELIVERY_BUSY')
    parts += 1
    // A part takes memory until it has left, however slow the agent reads.
    reply.raw.once('close', () => {
      parts -= 1
    })
    const part = await bundles.read(sha256, from, limits.bundlePartBytes)
    if (!part) throw fleetError('FLT_DELIVERY_GONE')
    return part
  }

  return {
    wanted,
    async handle(request, reply, sha256, from) {
      const { method, headers } = request
      const target = request.raw.url ?? ''
      const signed = await signatures.verify({ method, target, headers, body: noBody })
      let status = 200
      let body: Buffer
      let type = 'application/octet-stream'
      try {
        if (signed.refusal) throw signed.refusal
        body = await readPart(reply, sha256, from)
      } catch (error) {
        if (!(error instanceof FleetError)) log.error('A bundle cannot be read', { error: String(error) })
        const known = error instanceof FleetError ? error : fleetError('FLT_DELIVERY_BUSY')
        status = known.status
        type = 'application/json'
        body = Buffer.from(JSON.stringify(known.toJSON()))
      }
      reply.code(status).headers({ 'content-type': type, ...signatures.sign(signed, status, body) })
      if (status === 503) reply.header('retry-after', String(retrySeconds))
      reply.send(body)
    },
    dispose() {
      end()
      clearTimeout(timer)
    },
  }
}

const noBody = Buffer.alloc(0)

import type { GatewayOffer, GatewaySession, PluginContext } from '@fleetupdate/sdk'
import { type Attempts, attemptOf } from './attempts.ts'
import type { legacyAgents } from './contract.ts'
import { legacyError } from './errors.ts'
import { factsOf } from './facts-of.ts'
import type { AttemptRow } from './tables.ts'
import { stateOf, translate } from './translate.ts'
import type { Heartbeat, Result } from './wire.ts'

export interface NextCommand {
  readonly command: {
    readonly command_id: string
    readonly command: string
    readonly commands: readonly never[]
  } | null
}

/** Speaks for old agents. What concerns one agent happens strictly one after the other. */
export interface OldAgents {
  heartbeat(heartbeat: Heartbeat): Promise<void>
  /** Hands out a command at most once: that it started is durable before the agent hears of it. */
  next(agentId: string): Promise<NextCommand>
  chunk(agentId: string, commandId: string, text: string): Promise<void>
  result(agentId: string, result: Result): Promise<void>
  /** Ends what ran out of time. */
  sweep(): Promise<void>
}

interface Known {
  readonly session: GatewaySession
  /** Command id → what may be started. */
  readonly offers: Map<string, GatewayOffer>
  readonly toldFacts: Map<string, string>
  revision: number
}

/** An old agent stops by itself at its own limit; it gets this long to say so. */
const graceMs = 60_000

export function createOldAgents(
  { gateway, agents, log }: Pick<PluginContext<typeof legacyAgents>, 'gateway' | 'agents' | 'log'>,
  attempts: Attempts,
  now: () => number = Date.now,
): OldAgents {
  const known = new Map<string, Promise<Known>>()
  const turns = new Map<string, Promise<unknown>>()

  const connect = async (agentId: string, agentVersion: string): Promise<Known> => {
    const offers = new Map<string, GatewayOffer>()
    const running = await attempts.of(agentId)
    let session: GatewaySession | undefined
    const onOffer = (offer: GatewayOffer): void => {
      const translated = translate(offer)
      if ('word' in translated) offers.set(offer.commandId, offer)
      else
        void session
          ?.reject(offer, translated.refusal)
          .catch((error: unknown) => log.warn('A command could not be refused', { error: String(error) }))
    }
    session = await gateway.connect(agentId, { agentVersion, attempts: running.map(attemptOf), onOffer })
    return { session, offers, toldFacts: new Map(), revision: now() }
  }
  const knownAs = async (agentId: string, agentVersion = ''): Promise<Known> => {
    const before = await known.get(agentId)
    const isOnline = before && (await agents.get(agentId))?.status === 'online'
    if (before && isOnline) return before
    before?.session.close()
    const connecting = connect(agentId, agentVersion)
    known.set(agentId, connecting)
    connecting.catch(() => known.delete(agentId))
    return connecting
  }
  /** One thing at a time of one agent. */
  const inTurn = <T>(agentId: string, work: () => Promise<T>): Promise<T> => {
    const done = (turns.get(agentId) ?? Promise.resolve()).then(work)
    const settled = done
      .catch(() => undefined)
      .then(() => {
        if (turns.get(agentId) === settled) turns.delete(agentId)
      })
    turns.set(agentId, settled)
    return done
  }
  const attemptFor = async (agentId: string, commandId: string): Promise<AttemptRow> => {
    const row = await attempts.find(agentId, commandId)
    if (!row) throw legacyError('FLT_LEGACY_ATTEMPT', { command: commandId })
    return row
  }
  const write = async (session: GatewaySession, row: AttemptRow, text: string): Promise<number> => {
    if (text === '') return row.outputEnd
    const clean = Buffer.from(text)
    const end = row.outputEnd + clean.length
    await session.output(row, row.outputEnd, clean.toString('utf8'))
    await attempts.moveTo(row.commandId, end)
    return end
  }

  return {
    heartbeat: (heartbeat) =>
      inTurn(heartbeat.agent_id, async () => {
        const version = String(heartbeat.agent_version ?? '').slice(0, 64)
        const entry = await knownAs(heartbeat.agent_id, version)
        entry.session.heard()
        const observedAt = new Date(now()).toISOString()
        const items = factsOf(heartbeat, observedAt).flatMap(({ fact, value }) => {
          const content = JSON.stringify(value)
          if (entry.toldFacts.get(fact) === content) return []
          entry.toldFacts.set(fact, content)
          entry.revision += 1
          return [{ fact, value, observedAt, revision: entry.revision }]
        })
        if (items.length > 0) await entry.session.facts(items)
      }),
    next: (agentId) =>
      inTurn(agentId, async () => {
        const { session, offers } = await knownAs(agentId)
        session.heard()
        const [offer] = offers.values()
        if (!offer) return { command: null }
        offers.delete(offer.commandId)
        const translated = translate(offer)
        if (Date.parse(offer.notAfter) <= now() || !('word' in translated)) return { command: null }
        const { commandId, epoch, timeoutSeconds } = offer
        const startedAt = new Date(now()).toISOString()
        const deadlineMs = now() + timeoutSeconds * 1000 + graceMs
        await attempts.add({ commandId, agentId, epoch, startedAt, deadlineMs, outputEnd: 0 })
        await session.accept({ commandId, epoch, startedAt })
        return { command: { command_id: commandId, command: translated.word, commands: [] } }
      }),
    chunk: (agentId, commandId, text) =>
      inTurn(agentId, async () => {
        const row = await attemptFor(agentId, commandId)
        const { session } = await knownAs(agentId)
        await write(session, row, text)
      }),
    result: (agentId, { command_id, status, output }) =>
      inTurn(agentId, async () => {
        const row = await attemptFor(agentId, command_id)
        const { session } = await knownAs(agentId)
        // Without chunks, the output is what comes with the result.
        const lines = row.outputEnd === 0 && Array.isArray(output) ? output.map((line) => `${line}\n`) : []
        const outputBytes = await write(session, row, lines.join(''))
        const state = stateOf(status)
        const reason =
          state === 'succeeded' ? {} : { reason: `The old agent says: ${String(status).slice(0, 200)}` }
        await session.result({ ...attemptOf(row), state, outputBytes, ...reason })
        await attempts.remove(command_id)
      }),
    async sweep() {
      for (const { agentId, commandId } of await attempts.overdue(now()))
        await inTurn(agentId, async () => {
          const row = await attempts.find(agentId, commandId)
          if (!row) return
          const { session } = await knownAs(agentId)
          const reason = 'The old agent did not say in time how it ended.'
          await session.result({ ...attemptOf(row), state: 'timed_out', outputBytes: row.outputEnd, reason })
          await attempts.remove(commandId)
        })
    },
  }
}

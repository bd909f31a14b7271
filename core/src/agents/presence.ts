import type { Log } from '@fleetupdate/sdk'
import { type AgentFrameOf, type ExecutorReport, limits, type ServerFrame } from '@fleetupdate/sdk/protocol'
import type { EventBus } from '../events/bus.ts'
import type { Store, WriteStatement } from '../store/store.ts'
import type { ExecutorSets } from './executor-sets.ts'
import type { FleetIndex } from './fleet-index.ts'
import { type AgentSession, closeCodes } from './session.ts'
import { noTicket, type Ticket } from './tickets.ts'

/** Who is connected. One live session per agent: the newer replaces the older. */
export interface Presence {
  sessionOf(agentId: string): AgentSession | undefined
  isLive(session: AgentSession): boolean
  /**
   * Makes a session the live one, durably; false where a still newer one came first, or the agent is gone or in quarantine. Throws
   * FLT_STORE_CONFLICT where the ticket it showed is not the newest any more.
   */
  begin(session: AgentSession, hello: AgentFrameOf<'hello'>, terms?: BeginTerms): Promise<boolean>
  heard(session: AgentSession): void
  /** Stores what a live agent says about its executors after its hello. */
  executorsChanged(session: AgentSession, reports: readonly ExecutorReport[]): Promise<void>
  /** Sends one frame to every live session, a hundred a turn of the loop, so that nobody waits for a large fleet. */
  sendAll(frame: ServerFrame): void
  readonly liveCount: number
  end(session: AgentSession): void
  /** Ends the session of an agent that was removed or reset, or is in quarantine. */
  expel(agentId: string, why?: 'revoked' | 'quarantined'): void
  /** Ms since the agent was heard, at most since this server started; agents that are not listed are silent for ever. */
  silentMs(agentId: string): number
  /** Writes what is only in memory, and closes every session. */
  dispose(): Promise<void>
}

export interface BeginTerms {
  /** The ticket of its hello, which must still be the newest, and the one that takes its place. */
  readonly shown: Ticket
  readonly next: Ticket
  readonly more: readonly WriteStatement[]
}

export interface PresenceOptions {
  readonly store: Store
  readonly index: FleetIndex
  readonly bus: EventBus
  readonly log: Log
  readonly instanceId: string
  readonly executors: ExecutorSets
  readonly now: () => number
}

const sweepMs = 5_000
const flushMs = 60_000
const flushedAtOnce = 500
const sentAtOnce = 100

export function createPresence(options: PresenceOptions): Presence {
  const { store, index, bus, log, instanceId, executors, now } = options
  const live = new Map<string, AgentSession>()
  const unflushed = new Set<string>()
  const startedMs = now()
  const report = (what: string) => (error: unknown) => log.error(`${what} failed`, { error: String(error) })

  const storeOffline = async ({ agentId, epoch }: AgentSession, lastSeenAt: number): Promise<void> => {
    const update = store.read
      .updateTable('agents')
      .set({ online: 0, onlineChangedAt: now(), lastSeenAt })
      .where('id', '=', agentId)
      .where(({ exists, selectFrom }) =>
        exists(
          selectFrom('agent_sessions')
            .select('agentId')
            .where('agentId', '=', agentId)
            .where('sessionEpoch', '=', epoch),
        ),
      )
    await store.write([update.compile()])
    bus.emit('agent.disconnected', { agentId })
  }

  const end = (session: AgentSession): Promise<void> => {
    if (live.get(session.agentId) !== session) return Promise.resolve()
    live.delete(session.agentId)
    unflushed.delete(session.agentId)
    index.setOnline(session.agentId, 'offline')
    return storeOffline(session, session.lastHeardMs).catch(report('Storing that an agent is offline'))
  }

  const flush = async (): Promise<void> => {
    const ids = [...unflushed]
    unflushed.clear()
    for (let i = 0; i < ids.length; i += flushedAtOnce) {
      const statements = ids.slice(i, i + flushedAtOnce).flatMap((id): WriteStatement[] => {
        const lastSeenAt = index.get(id)?.lastSeenMs
        if (lastSeenAt === undefined) return []
        return [store.read.updateTable('agents').set({ lastSeenAt }).where('id', '=', id).compile()]
      })
      if (statements.length > 0) await store.write(statements)
    }
  }

  const sweep = setInterval(() => {
    const silentSince = now() - limits.silenceMs
    for (const session of live.values())
      if (session.lastHeardMs < silentSince) session.close(closeCodes.silent, 'Silent for too long.')
  }, sweepMs)
  const flusher = setInterval(() => void flush().catch(report('Storing when agents were seen')), flushMs)
  sweep.unref()
  flusher.unref()

  return {
    sessionOf: (agentId) => live.get(agentId),
    isLive: (session) => live.get(session.agentId) === session,
    async begin(session, hello, terms = withoutTicket) {
      const { agentId } = session
      const [begun] = await store.write([
        ...beginStatements(store, { agentId, hello, instanceId, terms, nowMs: now() }),
        ...terms.more,
      ])
      session.epoch = Number(begun?.rows[0]?.sessionEpoch ?? 0)
      const entry = index.get(agentId)
      if (entry?.quarantine) {
        session.close(closeCodes.quarantined, 'This identity is in quarantine.')
        return false
      }
      if (!entry || entry.revoked || entry.generation !== session.generation) {
        session.close(closeCodes.revoked, 'This identity was ended.')
        return false
      }
      const former = live.get(agentId)
      if (former && former.epoch > session.epoch) {
        session.close(closeCodes.replaced, 'A newer session took over.')
        return false
      }
      live.set(agentId, session)
      former?.close(closeCodes.replaced, 'A newer session took over.')
      entry.lastSeenMs = session.lastHeardMs
      executors.put(agentId, executorsOf(hello.executors))
      index.setOnline(agentId, 'online')
      bus.emit('agent.connected', { agentId })
      bus.emit('agent.updated', { agentId })
      return true
    },
    heard(session) {
      session.lastHeardMs = now()
      const entry = index.get(session.agentId)
      if (!entry || live.get(session.agentId) !== session) return
      entry.lastSeenMs = session.lastHeardMs
      unflushed.add(session.agentId)
    },
    async executorsChanged(session, reports) {
      const { agentId } = session
      const executorsJson = executorsOf(reports)
      const update = store.read
        .updateTable('agents')
        .set({ executors: executorsJson })
        .where('id', '=', agentId)
      await store.write([update.compile()])
      if (live.get(agentId) !== session) return
      executors.put(agentId, executorsJson)
      bus.emit('agent.updated', { agentId })
    },
    sendAll(frame) {
      const sessions = [...live.values()]
      const next = (): void => {
        for (const session of sessions.splice(0, sentAtOnce))
          if (live.get(session.agentId) === session) session.send(frame)
        if (sessions.length > 0) setImmediate(next)
      }
      next()
    },
    get liveCount() {
      return live.size
    },
    end: (session) => void end(session),
    expel(agentId, why = 'revoked') {
      const session = live.get(agentId)
      if (why === 'revoked') session?.close(closeCodes.revoked, 'The agent was removed or reset.')
      else session?.close(closeCodes.quarantined, 'This identity is in quarantine.')
      if (session) void end(session)
    },
    silentMs(agentId) {
      const entry = index.get(agentId)
      if (!entry) return Number.POSITIVE_INFINITY
      return now() - Math.max(entry.lastSeenMs ?? 0, startedMs)
    },
    async dispose() {
      clearInterval(sweep)
      clearInterval(flusher)
      const sessions = [...live.values()]
      await flush().catch(report('Storing when agents were seen'))
      const ends = sessions.map((session) => end(session))
      for (const session of sessions) session.close(closeCodes.stopping, 'The server stops.')
      await Promise.all(ends)
    },
  }
}

interface Beginning {
  readonly agentId: string
  readonly hello: AgentFrameOf<'hello'>
  readonly instanceId: string
  readonly terms: BeginTerms
  readonly nowMs: number
}

const withoutTicket: BeginTerms = { shown: noTicket, next: noTicket, more: [] }

/** The first statement returns the new session's epoch. */
function beginStatements(store: Store, beginning: Beginning): readonly WriteStatement[] {
  const { agentId, hello, instanceId, nowMs, terms } = beginning
  const { shown, next } = terms
  const ticket = { ticket: next.number, ticketNonce: next.nonce }
  const session = store.read
    .insertInto('agent_sessions')
    .values({ agentId, sessionEpoch: 1, instanceId, ...ticket })
    .onConflict((conflict) =>
      conflict
        .column('agentId')
        .doUpdateSet((eb) => ({
          sessionEpoch: eb('agent_sessions.sessionEpoch', '+', 1),
          instanceId,
          ...ticket,
        }))
        .where(({ eb, or, and }) =>
          or([
            eb('agent_sessions.ticket', '<', shown.number),
            and([
              eb('agent_sessions.ticket', '=', shown.number),
              eb('agent_sessions.ticketNonce', '=', shown.nonce),
            ]),
          ]),
        ),
    )
    .returning('sessionEpoch')
    .compile()
  const apps = JSON.stringify(hello.apps ?? [])
  const agent = store.read
    .updateTable('agents')
    .set({
      online: 1,
      onlineChangedAt: nowMs,
      lastSeenAt: nowMs,
      agentVersion: hello.agentVersion,
      bootId: hello.bootId,
      executors: executorsOf(hello.executors),
      apps: apps.length <= maxAppsLength ? apps : '[]',
    })
    .where('id', '=', agentId)
  return [{ sql: session.sql, parameters: session.parameters, expectedRows: 1 }, agent.compile()]
}

/** Only what is known: a newer agent may tell more. */
function executorsOf(reports: readonly ExecutorReport[]): string {
  return JSON.stringify(
    reports.map(({ id, version, contractHash, health, reason, trust, publisher }) => ({
      ...{ id, version, contractHash, health, trust, publisher },
      reason: reason?.slice(0, 500),
    })),
  )
}

const maxAppsLength = 64 * 1024

/** Nobody is connected to a server that has just started. */
export async function storeAllOffline(store: Store, nowMs: number): Promise<void> {
  const update = store.read
    .updateTable('agents')
    .set({ online: 0, onlineChangedAt: nowMs })
    .where('online', '=', 1)
  await store.write([update.compile()])
}

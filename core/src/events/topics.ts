import type { AgentView, CommandView } from '@fleetupdate/sdk'
import type { EventBus } from './bus.ts'
import type { LiveHub } from './live.ts'

export type AgentSummary = Pick<AgentView, 'id' | 'status' | 'lastSeenAt' | 'facets' | 'quarantine'>

export interface TopicSources {
  /** What lists show of an agent; undefined where it was removed. */
  summary(id: string): Promise<AgentSummary | undefined>
  command(id: string): Promise<CommandView | undefined>
  counts(): Promise<Readonly<Record<string, number>>>
  plugins(): Promise<unknown>
  /** Calls back whenever the audit grew. Returns what ends it. */
  followAudit(listener: () => void): () => void
}

const coalesceMs = 250
const itemsPerMessage = 500

/** The core's own live topics: `agents`, `commands`, `command:<id>`, `plugins`, `notices`, and for admins `enrolment` and `audit`. Returns what ends them. */
export function registerTopics(live: LiveHub, bus: EventBus, sources: TopicSources): () => void {
  const ends = [
    live.topic('agents', ({ send, signal }) => {
      const flush = collect(coalesceMs, signal, async (ids) => {
        const counts = await sources.counts()
        for (let i = 0; i < ids.length; i += itemsPerMessage)
          send({ ...(await summaries(ids.slice(i, i + itemsPerMessage), sources)), counts })
      })
      const events = [
        'agent.enrolled',
        'agent.connected',
        'agent.disconnected',
        'agent.removed',
        'agent.updated',
        'facts.updated',
      ] as const
      for (const event of events)
        until(
          signal,
          bus.on(event, ({ agentId }) => flush(agentId)),
        )
    }),
    live.topic('commands', ({ send, signal }) => {
      const flush = collect(coalesceMs, signal, async (ids) => {
        for (let i = 0; i < ids.length; i += itemsPerMessage) {
          const changed = await Promise.all(
            ids.slice(i, i + itemsPerMessage).map((id) => sources.command(id)),
          )
          send({ changed: changed.filter((command) => command !== undefined) })
        }
      })
      for (const event of ['command.created', 'command.updated'] as const)
        until(
          signal,
          bus.on(event, ({ commandId }) => flush(commandId)),
        )
    }),
    live.topic('command', async ({ argument, send, signal }) => {
      const flush = collect(50, signal, async () => {
        const command = await sources.command(argument)
        if (command) send(command)
      })
      until(
        signal,
        bus.on('command.updated', ({ commandId }) => {
          if (commandId === argument) flush(argument)
        }),
      )
      flush(argument)
    }),
    live.topic('plugins', ({ send, signal }) => {
      const flush = collect(coalesceMs, signal, async () => void send(await sources.plugins()))
      until(
        signal,
        bus.on('plugin.changed', ({ id }) => flush(id)),
      )
    }),
    live.topic(
      'enrolment',
      ({ send, signal }) => {
        const flush = collect(coalesceMs, signal, async (ids) => void send({ changed: ids }))
        until(
          signal,
          bus.on('enrolment.changed', ({ id }) => flush(id)),
        )
      },
      { role: 'admin' },
    ),
    live.topic(
      'audit',
      ({ send, signal }) => {
        // What came between the page's first answer and this moment.
        send({ grown: true })
        until(
          signal,
          sources.followAudit(() => void send({ grown: true })),
        )
      },
      { role: 'admin' },
    ),
    live.topic('notices', ({ send, signal }) => {
      until(
        signal,
        bus.on('notice.created', (notice) => void send(notice)),
      )
    }),
  ]
  return () => {
    for (const end of ends) end()
  }
}

/** Gathers ids for a moment, so that a burst is one message; the first of a quiet time leaves at once. */
function collect(
  delayMs: number,
  signal: AbortSignal,
  flush: (ids: readonly string[]) => Promise<void>,
): (id: string) => void {
  const ids = new Set<string>()
  let timer: NodeJS.Timeout | undefined
  let last = 0
  const run = (): void => {
    timer = undefined
    last = Date.now()
    const batch = [...ids]
    ids.clear()
    if (!signal.aborted) void flush(batch).catch(() => undefined)
  }
  signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
  return (id) => {
    ids.add(id)
    timer ??= setTimeout(run, Math.max(0, Math.min(delayMs, last + delayMs - Date.now())))
  }
}

async function summaries(
  ids: readonly string[],
  sources: TopicSources,
): Promise<{ changed: object[]; removed: string[] }> {
  const changed: object[] = []
  const removed: string[] = []
  for (const id of ids) {
    const agent = await sources.summary(id)
    if (agent) changed.push(agent)
    else removed.push(id)
  }
  return { changed, removed }
}

function until(signal: AbortSignal, end: () => void): void {
  if (signal.aborted) end()
  else signal.addEventListener('abort', end, { once: true })
}

import type { CommandView } from '@fleetupdate/sdk'
import { decodeCursor, encodeCursor } from '../cursor.ts'
import { fleetError } from '../errors.ts'
import type { Store } from '../store/store.ts'
import type { OpenCommands } from './open-commands.ts'
import { type StoredState, storedStates } from './state-machine.ts'
import type { CommandRow } from './tables.ts'
import { type AgentSight, isLost, shownState, viewCommand } from './view.ts'

export interface CommandListQuery {
  readonly agent?: string
  /** A state as it is shown. */
  readonly state?: string
  readonly batch?: string
  /** Only the commands of this name: `<plugin>.<command>`. */
  readonly command?: string
  readonly cursor?: string
  /** 1 to 500; default 50. */
  readonly limit?: number
}

export interface CommandList {
  /** Newest first. */
  readonly items: readonly CommandView[]
  readonly nextCursor: string | null
}

export interface BatchView {
  readonly id: string
  readonly command: string
  readonly total: number
  readonly cause: { readonly type: string; readonly id: string }
  readonly createdAt: string
  /** How many commands are in each state, as it is shown. */
  readonly counts: Readonly<Record<string, number>>
}

/** Reads commands and batches. */
export interface CommandReader {
  read(id: string): Promise<CommandView | undefined>
  list(query: CommandListQuery): Promise<CommandList>
  batch(id: string): Promise<BatchView | undefined>
}

export function createCommandReader(store: Store, open: OpenCommands, sight: AgentSight): CommandReader {
  const view = (row: CommandRow): CommandView => viewCommand(row, sight, open.get(row.id)?.progress)

  const rowsBefore = (query: CommandListQuery, before: string | undefined, limit: number) => {
    let select = store.read.selectFrom('commands').selectAll().orderBy('id', 'desc').limit(limit)
    if (query.agent !== undefined) select = select.where('agentId', '=', query.agent)
    if (query.batch !== undefined) select = select.where('batchId', '=', query.batch)
    if (query.command !== undefined) select = select.where('command', '=', query.command)
    if (query.state !== undefined) select = select.where('state', 'in', statesFor(query.state))
    if (before !== undefined) select = select.where('id', '<', before)
    return select.execute()
  }

  return {
    async read(id) {
      const row = await store.read.selectFrom('commands').selectAll().where('id', '=', id).executeTakeFirst()
      return row && view(row)
    },
    async list(query) {
      const limit = Math.max(1, Math.min(500, query.limit ?? 50))
      let before = query.cursor === undefined ? undefined : readCursor(query.cursor)
      const found: CommandRow[] = []
      // The shown state is computed, so that a page of rows may hold fewer of them.
      for (;;) {
        const rows = await rowsBefore(query, before, limit + 1)
        before = rows.at(-1)?.id
        for (const row of rows)
          if (query.state === undefined || shownState(row, sight) === query.state) found.push(row)
        if (rows.length <= limit || found.length > limit) break
      }
      const page = found.slice(0, limit)
      const last = page.at(-1)
      return {
        items: page.map(view),
        nextCursor: found.length > limit && last ? encodeCursor([last.id]) : null,
      }
    },
    async batch(id) {
      const batch = await store.read.selectFrom('batches').selectAll().where('id', '=', id).executeTakeFirst()
      if (!batch) return undefined
      const groups = await store.read
        .selectFrom('commands')
        .select(['state', (eb) => eb.fn.countAll<number>().as('count')])
        .where('batchId', '=', id)
        .groupBy('state')
        .execute()
      const counts = new Map<string, number>(groups.map(({ state, count }) => [state, Number(count)]))
      const move = (from: string, to: string): void => {
        counts.set(from, (counts.get(from) ?? 0) - 1)
        counts.set(to, (counts.get(to) ?? 0) + 1)
      }
      const active = await store.read
        .selectFrom('commands')
        .select(['agentId', 'state', 'generation', 'expiresAt', 'notAfter', 'cancelRequestedAt'])
        .where('batchId', '=', id)
        .where('state', 'in', ['offered', 'started', 'running'])
        .execute()
      for (const row of active) {
        const shown = shownState(row, sight)
        if (shown !== row.state) move(row.state, shown)
      }
      return {
        id,
        command: batch.command,
        total: batch.total,
        cause: { type: batch.causeType, id: batch.causeId },
        createdAt: new Date(batch.createdAt).toISOString(),
        counts: Object.fromEntries([...counts].filter(([, count]) => count > 0)),
      }
    },
  }
}

/** Open commands as the store says, without those whose attempt is lost, and queued ones whose agent is gone. */
export async function readOpenRows(
  store: Store,
  index: AgentSight['index'],
): Promise<{ readonly open: readonly CommandRow[]; readonly orphans: readonly string[] }> {
  const rows = await store.read
    .selectFrom('commands')
    .selectAll()
    .where('state', 'in', ['queued', 'offered', 'started', 'running'])
    .orderBy('id')
    .execute()
  const orphans = rows.filter((row) => row.state === 'queued' && !index.get(row.agentId)).map((row) => row.id)
  const gone = new Set(orphans)
  return { open: rows.filter((row) => !gone.has(row.id) && !isLost(row, index)), orphans }
}

function statesFor(state: string): readonly StoredState[] {
  const stored = storedStates.find((candidate) => candidate === state)
  if (stored) return [stored]
  if (state === 'unknown' || state === 'lost') return ['offered', 'started', 'running']
  throw fleetError('FLT_FILTER_UNKNOWN', {
    kind: 'state',
    name: state.slice(0, 32),
    known: [...storedStates, 'unknown', 'lost'].join(', '),
  })
}

function readCursor(text: string): string {
  const [id] = decodeCursor(text, 1)
  if (typeof id !== 'string') throw fleetError('FLT_CURSOR_INVALID')
  return id
}

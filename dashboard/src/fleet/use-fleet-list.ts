import { onScopeDispose, type Ref, shallowRef, watch } from 'vue'
import { asProblem, isRecord, type RequestProblem, request } from '../api/request.ts'
import { useRegain, useTopic } from '../api/use-topic.ts'
import type { AgentRow, Counts, Page } from '../api/views.ts'

export interface FleetQuery {
  readonly filter: string
  readonly q: string
  /** Facet or `id`; with `-` before it the other way round. */
  readonly sort: string
}

export interface FleetList {
  readonly rows: Readonly<Ref<readonly AgentRow[]>>
  readonly counts: Readonly<Ref<Counts>>
  readonly problem: Readonly<Ref<RequestProblem | undefined>>
  /** False until the first page of this query is there. */
  readonly loaded: Readonly<Ref<boolean>>
  readonly more: Readonly<Ref<boolean>>
  loadMore(): Promise<void>
  reload(): Promise<void>
}

const pageSize = 100
const typingMs = 150
const countsMs = 2000

/**
 * The fleet, page by page as the server sorts and filters it, patched live. Rows that no longer fit the filter stay where they are,
 * with their new state, until the list is loaded again: nothing jumps under the pointer. `counted` are the filters whose numbers are
 * wanted beside those that the server tells anyway.
 */
export function useFleetList(query: () => FleetQuery, counted: () => readonly string[]): FleetList {
  const rows = shallowRef<readonly AgentRow[]>([])
  const counts = shallowRef<Counts>({})
  const problem = shallowRef<RequestProblem>()
  const loaded = shallowRef(false)
  const more = shallowRef(false)
  const changed = new Map<string, AgentRow>()
  const removed = new Set<unknown>()
  let frame: number | undefined
  let places = new Map<string, number>()
  let cursor: string | null = null
  let abort = new AbortController()
  let loading = false

  const put = (next: readonly AgentRow[]): void => {
    rows.value = next
    places = new Map(next.map((row, i) => [row.id, i]))
  }
  const load = async (from: string | null): Promise<void> => {
    if (from !== null && loading) return
    abort.abort()
    abort = new AbortController()
    const { signal } = abort
    loading = true
    try {
      const page = await request<Page<AgentRow> & { counts: Counts }>('GET', 'agents', {
        query: {
          ...query(),
          limit: pageSize,
          ...(from === null ? { count: counted().join() } : { cursor: from }),
        },
        signal,
      })
      patch()
      put(
        from === null
          ? page.items.map(slim)
          : [...rows.value, ...page.items.filter((row) => !places.has(row.id)).map(slim)],
      )
      counts.value = { ...counts.value, ...page.counts }
      cursor = page.nextCursor
      more.value = cursor !== null
      problem.value = undefined
    } catch (error) {
      if (signal.aborted) return
      problem.value = asProblem(error)
      more.value = false
    }
    loading = false
    loaded.value = true
  }
  const reload = (): Promise<void> => load(null)

  let timer: ReturnType<typeof setTimeout> | undefined
  watch(
    () => ({ ...query() }),
    (next, before) => {
      clearTimeout(timer)
      if (before === undefined) void reload()
      else if (next.q !== before.q) timer = setTimeout(reload, typingMs)
      else if (next.filter !== before.filter || next.sort !== before.sort) {
        loaded.value = false
        void reload()
      }
    },
    { immediate: true },
  )
  useRegain(reload)
  useTopic('agents', { data: take })

  let countsTimer: ReturnType<typeof setTimeout> | undefined
  const readCounts = async (): Promise<void> => {
    countsTimer = undefined
    const query = { limit: 1, count: counted().join() }
    const answer = await request<{ counts: Counts }>('GET', 'agents', { query }).catch(() => undefined)
    if (!answer) return
    const isNew = (answer.counts.all ?? 0) > (counts.value.all ?? 0) && !more.value
    counts.value = answer.counts
    if (isNew) await reload()
  }
  watch(
    () => counted().join(),
    () => void readCounts(),
  )
  onScopeDispose(() => {
    clearTimeout(timer)
    clearTimeout(countsTimer)
    if (frame !== undefined) cancelAnimationFrame(frame)
    abort.abort()
  })

  // A burst is many messages: what they say is put into the list once for each frame that is drawn.
  function take(data: unknown): void {
    if (!isRecord(data)) return
    for (const row of Array.isArray(data.changed) ? data.changed.filter(isRow) : []) changed.set(row.id, row)
    for (const id of Array.isArray(data.removed) ? data.removed : []) removed.add(id)
    frame ??= requestAnimationFrame(patch)
    countsTimer ??= setTimeout(readCounts, countsMs)
  }
  function patch(): void {
    if (frame !== undefined) cancelAnimationFrame(frame)
    frame = undefined
    const next = [...rows.value]
    let isDifferent = false
    for (const row of changed.values()) {
      const place = places.get(row.id)
      if (place === undefined) continue
      next[place] = slim(row)
      isDifferent = true
    }
    changed.clear()
    if (removed.size > 0) put(next.filter(({ id }) => !removed.has(id)))
    else if (isDifferent) rows.value = next
    removed.clear()
  }
  return { rows, counts, problem, loaded, more, reload, loadMore: () => load(cursor) }
}

/** Facts stay out of lists: ten thousand rows are kept. */
function slim({ id, status, lastSeenAt, facets, quarantine }: AgentRow): AgentRow {
  return { id, status, lastSeenAt, facets, ...(quarantine ? { quarantine } : {}) }
}

function isRow(value: unknown): value is AgentRow {
  return isRecord(value) && typeof value.id === 'string' && isRecord(value.facets)
}

import { type Ref, shallowRef, watch } from 'vue'
import { asProblem, type RequestProblem, request } from '../api/request.ts'
import { useRegain, useTopic } from '../api/use-topic.ts'
import type { Page } from '../api/views.ts'
import type { AuditRow } from './audit-row.ts'

export interface AuditList {
  readonly rows: Readonly<Ref<readonly AuditRow[]>>
  readonly problem: Readonly<Ref<RequestProblem | undefined>>
  readonly loaded: Readonly<Ref<boolean>>
  readonly more: Readonly<Ref<boolean>>
  loadMore(): Promise<void>
  reload(): Promise<void>
}

const pageSize = 100

/** Rows of the audit by query, newest first, page by page; new ones appear at the top as they are written. */
export function useAudit(
  query: () => Readonly<Record<string, string | undefined>>,
  onGrown: () => void = () => undefined,
): AuditList {
  const rows = shallowRef<readonly AuditRow[]>([])
  const problem = shallowRef<RequestProblem>()
  const loaded = shallowRef(false)
  const more = shallowRef(false)
  let cursor: string | null = null
  let asked = 0
  let loadingFrom: string | null | undefined

  const load = async (from: string | null): Promise<void> => {
    // The end of the list comes into view more than once while its next page is on the way.
    if (from !== null && from === loadingFrom) return
    loadingFrom = from
    asked += 1
    const mine = asked
    try {
      const page = await request<Page<AuditRow>>('GET', 'audit', {
        query: { ...query(), limit: pageSize, ...(from === null ? {} : { cursor: from }) },
      })
      if (mine !== asked) return
      rows.value = from === null ? page.items : [...rows.value, ...page.items]
      cursor = page.nextCursor
      more.value = cursor !== null
      problem.value = undefined
    } catch (error) {
      if (mine === asked) problem.value = asProblem(error)
    }
    if (mine !== asked) return
    loaded.value = true
    loadingFrom = undefined
  }
  const reload = (): Promise<void> => load(null)
  /** Puts what is new before what is there, which stays as it is. More than a page of news is a list of its own. */
  const refresh = async (): Promise<void> => {
    if (!loaded.value || rows.value.length === 0) return reload()
    const mine = asked
    const page = await request<Page<AuditRow>>('GET', 'audit', { query: { ...query(), limit: pageSize } })
    if (mine !== asked) return
    const known = new Set(rows.value.map(keyOf))
    const news = page.items.findIndex((row) => known.has(keyOf(row)))
    if (news < 0) return reload()
    if (news > 0) rows.value = [...page.items.slice(0, news), ...rows.value]
  }
  let refreshing: Promise<void> | undefined
  let again = false
  const grown = (): void => {
    again = refreshing !== undefined
    refreshing ??= refresh()
      .catch(() => undefined)
      .finally(() => {
        refreshing = undefined
        if (again) grown()
      })
  }
  watch(
    () => JSON.stringify(query()),
    () => {
      loaded.value = false
      rows.value = []
      void reload()
    },
    { immediate: true },
  )
  useRegain(reload)
  useTopic('audit', {
    data() {
      grown()
      onGrown()
    },
  })
  return {
    rows,
    problem,
    loaded,
    more,
    reload,
    loadMore: () => (cursor === null ? Promise.resolve() : load(cursor)),
  }
}

function keyOf({ chain, seq }: AuditRow): string {
  return `${chain}/${seq}`
}

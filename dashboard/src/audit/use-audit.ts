import { type Ref, shallowRef, watch } from 'vue'
import { asProblem, type RequestProblem, request } from '../api/request.ts'
import { useRegain } from '../api/use-topic.ts'
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

/** Rows of the audit by query, newest first, page by page. */
export function useAudit(query: () => Readonly<Record<string, string | undefined>>): AuditList {
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
  return {
    rows,
    problem,
    loaded,
    more,
    reload,
    loadMore: () => (cursor === null ? Promise.resolve() : load(cursor)),
  }
}

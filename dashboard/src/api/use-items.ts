import { type Ref, shallowRef } from 'vue'
import { asProblem, type RequestProblem, request } from './request.ts'
import { useRegain } from './use-topic.ts'

export interface Items<T> {
  readonly items: Readonly<Ref<readonly T[]>>
  readonly problem: Readonly<Ref<RequestProblem | undefined>>
  readonly loaded: Readonly<Ref<boolean>>
  reload(): Promise<void>
}

/** A whole list `{ items }` of the API, read at once and after each regained connection. */
export function useItems<T>(path: string): Items<T> {
  const items = shallowRef<readonly T[]>([])
  const problem = shallowRef<RequestProblem>()
  const loaded = shallowRef(false)
  let asked = 0
  const reload = async (): Promise<void> => {
    asked += 1
    const mine = asked
    try {
      const answer = await request<{ readonly items: readonly T[] }>('GET', path)
      if (mine !== asked) return
      items.value = answer.items
      problem.value = undefined
    } catch (error) {
      if (mine === asked) problem.value = asProblem(error)
    }
    if (mine === asked) loaded.value = true
  }
  void reload()
  useRegain(reload)
  return { items, problem, loaded, reload }
}

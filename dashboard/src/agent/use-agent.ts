import type { AgentView } from '@fleetupdate/sdk'
import type { LiveAgent } from '@fleetupdate/sdk/panel'
import { type MaybeRefOrGetter, shallowRef, toValue, watch } from 'vue'
import { asProblem, isRecord, type RequestProblem, request } from '../api/request.ts'
import { useRegain, useTopic } from '../api/use-topic.ts'

/** One agent with its facts, read again whenever the server says that it changed. */
export function useAgent(id: MaybeRefOrGetter<string>): LiveAgent {
  const agent = shallowRef<AgentView>()
  const problem = shallowRef<RequestProblem>()
  let asked = 0

  const reload = async (): Promise<void> => {
    asked += 1
    const mine = asked
    try {
      const next = await request<AgentView>('GET', `agents/${encodeURIComponent(toValue(id))}`)
      if (mine !== asked) return
      agent.value = next
      problem.value = undefined
    } catch (error) {
      if (mine === asked) problem.value = asProblem(error)
    }
  }
  watch(
    () => toValue(id),
    () => {
      agent.value = undefined
      void reload()
    },
    { immediate: true },
  )
  useRegain(reload)
  useTopic('agents', {
    data(data) {
      if (!isRecord(data)) return
      const changed = Array.isArray(data.changed) ? data.changed : []
      const removed = Array.isArray(data.removed) ? data.removed : []
      const mine = toValue(id)
      if (removed.includes(mine) || changed.some((item) => isRecord(item) && item.id === mine)) void reload()
    },
  })
  return { agent, problem, reload }
}

import type { CommandView } from '@fleetupdate/sdk'
import type { LiveCommand } from '@fleetupdate/sdk/panel'
import { type MaybeRefOrGetter, shallowRef, toValue, watch } from 'vue'
import { asProblem, isRecord, type RequestProblem, request } from '../api/request.ts'
import { useTopic } from '../api/use-topic.ts'

/** One command, as it is now. Undefined id: none. */
export function useCommand(id: MaybeRefOrGetter<string | undefined>): LiveCommand {
  const command = shallowRef<CommandView>()
  const problem = shallowRef<RequestProblem>()
  watch(
    () => toValue(id),
    async (wanted) => {
      command.value = undefined
      problem.value = undefined
      if (wanted === undefined) return
      try {
        const found = await request<CommandView>('GET', `commands/${encodeURIComponent(wanted)}`)
        if (wanted === toValue(id)) command.value ??= found
      } catch (error) {
        problem.value = asProblem(error)
      }
    },
    { immediate: true },
  )
  useTopic(
    () => {
      const wanted = toValue(id)
      return wanted === undefined ? undefined : `command:${wanted}`
    },
    {
      data(data) {
        if (isCommand(data) && data.id === toValue(id)) command.value = data
      },
    },
  )
  return { command, problem }
}

/** The server's own answer; its members are the server's, their texts an agent's. */
export function isCommand(value: unknown): value is CommandView {
  return isRecord(value) && typeof value.id === 'string' && typeof value.state === 'string'
}

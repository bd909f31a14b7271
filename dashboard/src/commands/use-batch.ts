import type { CommandView } from '@fleetupdate/sdk'
import { type MaybeRefOrGetter, type Ref, shallowRef, toValue, watch } from 'vue'
import { asProblem, isRecord, type RequestProblem, request } from '../api/request.ts'
import { useRegain, useTopic } from '../api/use-topic.ts'
import type { Page } from '../api/views.ts'
import { isCommand } from './use-command.ts'

const pageSize = 200

/** All commands of a batch, or of several whose ids are separated by commas, by agent, kept up to date. */
export function useBatch(id: MaybeRefOrGetter<string>): {
  readonly commands: Readonly<Ref<readonly CommandView[]>>
  readonly problem: Readonly<Ref<RequestProblem | undefined>>
  readonly loaded: Readonly<Ref<boolean>>
  reload(): Promise<void>
} {
  const commands = shallowRef<readonly CommandView[]>([])
  const problem = shallowRef<RequestProblem>()
  const loaded = shallowRef(false)

  const reload = async (): Promise<void> => {
    const wanted = toValue(id)
    const found: CommandView[] = []
    try {
      for (const batch of wanted.split(',')) {
        let cursor: string | undefined
        do {
          const page: Page<CommandView> = await request('GET', 'commands', {
            query: { batch, limit: pageSize, cursor },
          })
          found.push(...page.items)
          cursor = page.nextCursor ?? undefined
        } while (cursor !== undefined && wanted === toValue(id))
      }
      problem.value = undefined
    } catch (error) {
      problem.value = asProblem(error)
    }
    if (wanted !== toValue(id)) return
    commands.value = found.sort((a, b) => a.agentId.localeCompare(b.agentId))
    loaded.value = true
  }
  watch(
    () => toValue(id),
    () => {
      commands.value = []
      loaded.value = false
      void reload()
    },
    { immediate: true },
  )
  useRegain(reload)
  useTopic('commands', {
    data(data) {
      if (!isRecord(data) || !Array.isArray(data.changed)) return
      const changed = new Map(data.changed.filter(isCommand).map((command) => [command.id, command]))
      if (commands.value.some((command) => changed.has(command.id)))
        commands.value = commands.value.map((command) => changed.get(command.id) ?? command)
    },
  })
  return { commands, problem, loaded, reload }
}

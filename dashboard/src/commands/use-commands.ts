import type { CommandView } from '@fleetupdate/sdk'
import { type Ref, shallowRef, watch } from 'vue'
import { asProblem, isRecord, type RequestProblem, request } from '../api/request.ts'
import { useRegain, useTopic } from '../api/use-topic.ts'
import type { Page } from '../api/views.ts'
import { isCommand } from './use-command.ts'

export interface CommandList {
  readonly items: Readonly<Ref<readonly CommandView[]>>
  readonly problem: Readonly<Ref<RequestProblem | undefined>>
  readonly loaded: Readonly<Ref<boolean>>
  readonly more: Readonly<Ref<boolean>>
  loadMore(): Promise<void>
  reload(): Promise<void>
}

export type CommandQuery = Readonly<Record<string, string | undefined>>

/** Commands by query, newest first, kept up to date; new ones that fit appear on top. */
export function useCommands(query: () => CommandQuery, pageSize = 50): CommandList {
  const items = shallowRef<readonly CommandView[]>([])
  const problem = shallowRef<RequestProblem>()
  const loaded = shallowRef(false)
  const more = shallowRef(false)
  let cursor: string | null = null
  let asked = 0

  const load = async (from: string | null): Promise<void> => {
    asked += 1
    const mine = asked
    try {
      const page = await request<Page<CommandView>>('GET', 'commands', {
        query: { ...query(), limit: pageSize, ...(from === null ? {} : { cursor: from }) },
      })
      if (mine !== asked) return
      items.value = from === null ? page.items : [...items.value, ...page.items]
      cursor = page.nextCursor
      more.value = cursor !== null
      problem.value = undefined
    } catch (error) {
      if (mine === asked) problem.value = asProblem(error)
    }
    if (mine === asked) loaded.value = true
  }
  const reload = (): Promise<void> => load(null)

  watch(
    () => JSON.stringify(query()),
    () => {
      loaded.value = false
      items.value = []
      void reload()
    },
    { immediate: true },
  )
  useRegain(reload)
  useTopic('commands', {
    data(data) {
      if (!isRecord(data) || !Array.isArray(data.changed)) return
      const changed = new Map(data.changed.filter(isCommand).map((command) => [command.id, command]))
      const kept = items.value.map((command) => changed.get(command.id) ?? command)
      for (const command of kept) changed.delete(command.id)
      const added = [...changed.values()].filter(
        (command) => fits(command, query()) && isNewer(command, kept[0]),
      )
      if (added.length > 0 || kept.some((command, i) => command !== items.value[i]))
        items.value = [...added.sort((a, b) => (a.id < b.id ? 1 : -1)), ...kept]
    },
  })
  return { items, problem, loaded, more, reload, loadMore: () => load(cursor) }
}

function fits(command: CommandView, query: CommandQuery): boolean {
  return (
    (!query.agent || command.agentId === query.agent) &&
    (!query.batch || command.batchId === query.batch) &&
    (!query.command || command.command === query.command) &&
    (!query.state || query.state.split(',').includes(command.state))
  )
}

/** Ids are UUIDv7, which sort by time. */
function isNewer(command: CommandView, first: CommandView | undefined): boolean {
  return first === undefined || command.id > first.id
}

import { defineStore } from 'pinia'
import { computed, shallowRef } from 'vue'
import { asProblem, type RequestProblem, request } from '../api/request.ts'
import type { CommandContract, PluginView } from '../api/views.ts'
import { loadPanel } from '../panels/panel-modules.ts'

export interface KnownCommand extends CommandContract {
  /** `<plugin>.<command>` */
  readonly name: string
  readonly plugin: PluginView
}

/** The manifest: every plugin with its state, contract and panel. */
export const usePlugins = defineStore('plugins', () => {
  const items = shallowRef<readonly PluginView[]>([])
  const loaded = shallowRef(false)
  const problem = shallowRef<RequestProblem>()
  const commands = computed<readonly KnownCommand[]>(() =>
    items.value.flatMap((plugin) =>
      Object.entries(plugin.contract?.commands ?? {}).map(([name, command]) => ({
        ...command,
        name: `${plugin.id}.${name}`,
        plugin,
      })),
    ),
  )
  return {
    items,
    loaded,
    problem,
    commands,
    command: computed(() => (name: string) => commands.value.find((command) => command.name === name)),
    async load(): Promise<void> {
      try {
        items.value = (await request<{ items: readonly PluginView[] }>('GET', 'plugins')).items
        problem.value = undefined
        void loadMessages(items.value)
      } catch (error) {
        problem.value = asProblem(error)
      }
      loaded.value = true
    },
  }
})

/** Panels bring the names of their commands in all languages. A broken one is told of where it would appear. */
async function loadMessages(items: readonly PluginView[]): Promise<void> {
  await Promise.allSettled(items.filter(({ panel }) => panel !== undefined).map(loadPanel))
}

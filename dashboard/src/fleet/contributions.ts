import type { FleetAction, FleetColumn, FleetSummary } from '@fleetupdate/sdk/panel'
import { computed, type Ref } from 'vue'
import { isRecord } from '../api/request.ts'
import { type BrokenPanel, useSlot } from '../panels/use-slot.ts'
import { textOf } from '../text.ts'

type Named<T> = T & { readonly plugin: string; readonly pluginTitle: string; readonly name: string }

export interface FleetContributions {
  readonly columns: Readonly<Ref<readonly Named<FleetColumn>[]>>
  readonly summaries: Readonly<Ref<readonly (Named<FleetSummary> & { readonly hintText: string })[]>>
  readonly actions: Readonly<Ref<readonly Named<FleetAction>[]>>
  readonly broken: Readonly<Ref<readonly BrokenPanel[]>>
  readonly ready: Readonly<Ref<boolean>>
}

/** What plugins add to the fleet page: columns, counts that are filters, and things to do. */
export function useFleetContributions(): FleetContributions {
  const columns = useSlot('fleet.column')
  const summaries = useSlot('fleet.summary')
  const actions = useSlot('fleet.action')
  const textIn = (plugin: string, key: string): string => textOf(`${plugin}.${key}`, key)
  return {
    columns: computed(() =>
      columns.loaded.value
        .flatMap(({ plugin, title, content }) =>
          listOf<FleetColumn>(content, isColumn).map((item) => ({
            ...item,
            plugin,
            pluginTitle: title,
            name: textIn(plugin, item.title),
          })),
        )
        .sort(byOrder),
    ),
    summaries: computed(() =>
      summaries.loaded.value
        .flatMap(({ plugin, title, content }) =>
          listOf<FleetSummary>(content, isSummary).map((item) => ({
            ...item,
            plugin,
            pluginTitle: title,
            name: textIn(plugin, item.label),
            hintText: item.hint ? textIn(plugin, item.hint) : '',
          })),
        )
        .sort(byOrder),
    ),
    actions: computed(() =>
      actions.loaded.value
        .flatMap(({ plugin, title, content }) =>
          listOf<FleetAction>(content, isAction).map((item) => ({
            ...item,
            plugin,
            pluginTitle: title,
            name: textIn(plugin, item.label),
          })),
        )
        .sort((a, b) => Number(a.primary ?? false) - Number(b.primary ?? false)),
    ),
    broken: computed(() => [
      ...new Map(
        [...columns.broken.value, ...summaries.broken.value, ...actions.broken.value].map((item) => [
          item.plugin,
          item,
        ]),
      ).values(),
    ]),
    ready: computed(() => columns.ready.value && summaries.ready.value),
  }
}

function byOrder(a: { readonly order?: number }, b: { readonly order?: number }): number {
  return (a.order ?? 50) - (b.order ?? 50)
}

function listOf<T>(content: unknown, fits: (item: unknown) => item is T): readonly T[] {
  return Array.isArray(content) ? content.filter(fits) : []
}

function isColumn(item: unknown): item is FleetColumn {
  return isRecord(item) && typeof item.key === 'string' && typeof item.title === 'string'
}

function isSummary(item: unknown): item is FleetSummary {
  return isRecord(item) && typeof item.filter === 'string' && typeof item.label === 'string'
}

function isAction(item: unknown): item is FleetAction {
  return isRecord(item) && typeof item.label === 'string'
}

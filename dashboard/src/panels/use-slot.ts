import type { SlotName } from '@fleetupdate/sdk'
import { type Ref, shallowRef, watch } from 'vue'
import { usePlugins } from '../stores/plugins.ts'
import { type LoadedSlot, loadSlot } from './panel-modules.ts'

export interface BrokenPanel {
  readonly plugin: string
  readonly reason: string
}

export interface SlotContents {
  readonly loaded: Readonly<Ref<readonly LoadedSlot[]>>
  /** Panels that could not be loaded; the rest works. */
  readonly broken: Readonly<Ref<readonly BrokenPanel[]>>
  /** False until every panel of this slot has loaded or failed. */
  readonly ready: Readonly<Ref<boolean>>
}

/** What all active plugins offer for a slot, in the order of the manifest. Each loads on its own. */
export function useSlot(slot: SlotName): SlotContents {
  const plugins = usePlugins()
  const loaded = shallowRef<readonly LoadedSlot[]>([])
  const broken = shallowRef<readonly BrokenPanel[]>([])
  const ready = shallowRef(false)
  watch(
    () => [plugins.loaded, plugins.items] as const,
    async ([known, items], _before, onCleanup) => {
      if (!known) return
      let stale = false
      onCleanup(() => {
        stale = true
      })
      const wanted = items.filter((plugin) => plugin.state === 'active' && plugin.panel?.slots.includes(slot))
      const results = await Promise.allSettled(wanted.map((plugin) => loadSlot(plugin, slot)))
      if (stale) return
      loaded.value = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
      broken.value = results.flatMap((result, i) =>
        result.status === 'rejected'
          ? [{ plugin: wanted[i]?.title ?? '', reason: reasonOf(result.reason) }]
          : [],
      )
      ready.value = true
    },
    { immediate: true },
  )
  return { loaded, broken, ready }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

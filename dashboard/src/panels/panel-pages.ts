import { computed, type Ref } from 'vue'
import { textOf } from '../text.ts'
import { useSlot } from './use-slot.ts'

export interface PanelPage {
  readonly id: string
  readonly title: string
  readonly icon: string
}

/** Pages that plugins bring, for the navigation. A panel's title may be a key of its own messages. */
export function usePanelPages(): Readonly<Ref<readonly PanelPage[]>> {
  const { loaded } = useSlot('page')
  return computed(() =>
    loaded.value.map(({ plugin, title, icon }) => ({
      id: plugin,
      icon,
      title: textOf(`${plugin}.${title}`, title),
    })),
  )
}

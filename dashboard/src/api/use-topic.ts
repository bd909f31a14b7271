import type { TopicHandlers } from '@fleetupdate/sdk/panel'
import { type MaybeRefOrGetter, onScopeDispose, toValue, watch } from 'vue'
import { useLive } from '../stores/live.ts'

/** Listens to a live topic for as long as the component lives. Undefined: to none. */
export function useTopic(topic: MaybeRefOrGetter<string | undefined>, handlers: TopicHandlers): void {
  const { socket } = useLive()
  watch(
    () => toValue(topic),
    (name, _before, onCleanup) => {
      if (name !== undefined) onCleanup(socket.subscribe(name, handlers))
    },
    { immediate: true },
  )
}

/** Runs after each regained connection: read again what may have changed in between. */
export function useRegain(handler: () => void): void {
  onScopeDispose(useLive().socket.onRegain(handler))
}

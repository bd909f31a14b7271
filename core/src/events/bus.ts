import type { FleetEvents } from '@fleetupdate/sdk'

type Handler<E extends keyof FleetEvents> = (payload: FleetEvents[E]) => void

/** How the server tells itself that something happened. Losing every message costs time, never data. */
export interface EventBus {
  emit<E extends keyof FleetEvents>(event: E, payload: FleetEvents[E]): void
  /** Returns the function that ends the subscription. A handler that throws is reported and disturbs nobody. */
  on<E extends keyof FleetEvents>(event: E, handler: Handler<E>): () => void
}

export function createEventBus(report: (error: unknown, event: string) => void): EventBus {
  const handlers = new Map<string, Set<Handler<never>>>()
  return {
    emit(event, payload) {
      for (const handler of handlers.get(event) ?? []) {
        try {
          ;(handler as (payload: unknown) => void)(payload)
        } catch (error) {
          report(error, event)
        }
      }
    },
    on(event, handler) {
      const set = handlers.get(event) ?? new Set()
      handlers.set(event, set)
      set.add(handler)
      return () => set.delete(handler)
    },
  }
}

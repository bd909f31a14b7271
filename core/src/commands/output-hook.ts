import type { OutputStore } from '@fleetupdate/sdk'

/**
 * Where the core hands output to whoever keeps it. Awaited, never the bus: a chunk is acknowledged to its agent only when
 * the store has it. Without a provider output is dropped, and results say so.
 */
export interface OutputHook {
  provide(store: OutputStore): () => void
  current(): OutputStore | undefined
}

export function createOutputHook(): OutputHook {
  const providers: OutputStore[] = []
  return {
    provide(store) {
      providers.push(store)
      return () => void providers.splice(providers.indexOf(store), 1)
    },
    current: () => providers.at(-1),
  }
}

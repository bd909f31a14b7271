import type { Log } from '@fleetupdate/sdk'

export interface StoredFacts {
  readonly agentId: string
  /** The values that were new, by fact. */
  readonly facts: Readonly<Record<string, unknown>>
  readonly observedAt: Readonly<Record<string, string>>
}

/** What plugins want to do after facts of theirs were stored; awaited before the agent is told that they are. */
export interface FactHooks {
  /** Returns the function that ends it. */
  onStored(plugin: string, handler: (update: StoredFacts) => void | Promise<void>): () => void
  /** Never rejects: a handler that throws or takes longer than 10 s is reported. */
  run(plugin: string, update: StoredFacts): Promise<void>
}

const patienceMs = 10_000

export function createFactHooks(log: Log): FactHooks {
  const handlers = new Map<string, Set<(update: StoredFacts) => void | Promise<void>>>()

  const runOne = async (
    plugin: string,
    handler: (update: StoredFacts) => void | Promise<void>,
    update: StoredFacts,
  ): Promise<void> => {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('it took longer than 10 s')), patienceMs)
    })
    try {
      await Promise.race([handler(update), late])
    } catch (error) {
      log.error(`Plugin "${plugin}" could not handle new facts`, {
        agentId: update.agentId,
        error: String(error),
      })
    } finally {
      clearTimeout(timer)
    }
  }

  return {
    onStored(plugin, handler) {
      const own = handlers.get(plugin) ?? new Set()
      handlers.set(plugin, own)
      own.add(handler)
      return () => void own.delete(handler)
    },
    async run(plugin, update) {
      const own = handlers.get(plugin)
      if (!own || own.size === 0) return
      await Promise.all([...own].map((handler) => runOne(plugin, handler, update)))
    },
  }
}

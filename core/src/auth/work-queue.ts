/** Runs at most so many tasks at once; beyond `waiting` more, `refuse()` is thrown. */
export interface WorkQueue {
  run<T>(task: () => Promise<T>): Promise<T>
}

export interface WorkQueueOptions {
  readonly parallel: number
  readonly waiting: number
  refuse(): Error
}

/** A bounded queue: first in, first out. */
export function createWorkQueue({ parallel, waiting, refuse }: WorkQueueOptions): WorkQueue {
  const line: (() => void)[] = []
  let running = 0
  return {
    async run(task) {
      if (running >= parallel) {
        if (line.length >= waiting) throw refuse()
        // The place is handed over by the one who leaves, so that nobody slips in between.
        await new Promise<void>((resolve) => line.push(resolve))
      } else running += 1
      try {
        return await task()
      } finally {
        const next = line.shift()
        if (next) next()
        else running -= 1
      }
    },
  }
}

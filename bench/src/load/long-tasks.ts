import type { Page } from 'playwright-core'

/** What kept a page from answering, by the name of the step in which it happened. */
export interface LongTasks {
  /** What happens from now on belongs to this step. */
  step(name: string): Promise<void>
  /** Duration of each task over 50 ms, in ms, by step. */
  read(): Promise<Readonly<Record<string, readonly number[]>>>
}

/** Watches a page for long tasks, as the browser itself counts them. */
export async function watchLongTasks(page: Page): Promise<LongTasks> {
  await page.evaluate(() => {
    const tasks: { at: number; ms: number }[] = []
    const steps: { at: number; name: string }[] = []
    Reflect.set(globalThis, 'longTasks', { tasks, steps })
    new PerformanceObserver((list) => {
      for (const { startTime, duration } of list.getEntries())
        tasks.push({ at: startTime, ms: Math.round(duration) })
    }).observe({ type: 'longtask', buffered: true })
  })
  return {
    step: (name) =>
      page.evaluate((name) => {
        Reflect.get(globalThis, 'longTasks').steps.push({ at: performance.now(), name })
      }, name),
    read: () =>
      page.evaluate(async () => {
        // The observer is told of a task after the frame that follows it.
        await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))
        const { tasks, steps } = Reflect.get(globalThis, 'longTasks') as {
          tasks: { at: number; ms: number }[]
          steps: { at: number; name: string }[]
        }
        const found: Record<string, number[]> = Object.fromEntries(steps.map(({ name }) => [name, []]))
        for (const { at, ms } of tasks) {
          const step = steps.findLast((step) => step.at <= at + ms)
          if (step) found[step.name]?.push(ms)
        }
        return found
      }),
  }
}

/** The longest task of each step as text, and of them all in ms (0: none over 50). */
export function worstOf(tasks: Readonly<Record<string, readonly number[]>>): {
  readonly ms: number
  readonly text: string
} {
  const text = Object.entries(tasks)
    .map(([step, found]) => `${step} ${found.length > 0 ? `${Math.max(...found)} ms` : '–'}`)
    .join(', ')
  return { ms: Math.max(0, ...Object.values(tasks).flat()), text }
}

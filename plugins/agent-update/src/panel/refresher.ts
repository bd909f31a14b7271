import { onBeforeUnmount } from 'vue'

/**
 * Runs `act` soon after a hint, never twice at once, and at most once in `everyMs`; the last hint of a burst is never lost. Ends with the component.
 */
export function useRefresher(act: () => Promise<void>, everyMs: number): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  let running = false
  let again = false
  let last = Number.NEGATIVE_INFINITY
  const run = async (): Promise<void> => {
    timer = undefined
    running = true
    last = performance.now()
    await act()
    running = false
    if (again) hint()
  }
  const hint = (): void => {
    again = running
    if (!running) timer ??= setTimeout(run, Math.max(0, last + everyMs - performance.now()))
  }
  onBeforeUnmount(() => clearTimeout(timer))
  return hint
}

import { createControlFilter } from './strip-controls.ts'
import { createTerminalText } from './terminal-text.ts'

/** What stands between the output of a command and the terminal that shows it. */
export interface TerminalFeed {
  add(piece: string): void
  /** Shows only the lines with this text, whatever its case; all where it is empty. Begins anew where it changed. */
  setFilter(filter: string): void
  /** While it is paused, what comes is kept. */
  setPaused(paused: boolean): void
  plain(): string
  /** Whether any line has this text, whatever its case: quicker than letting the terminal look through its rows. */
  has(wanted: string): boolean
  dispose(): void
}

export interface TerminalFeedOptions {
  /** Calls back when the text was taken. */
  write(text: string, taken: () => void): void
  reset(): void
  /** Runs a function in a task of its own. */
  later(run: () => void): void
}

/** UTF-16 units and lines that are worked on in one task: a few milliseconds of it. */
const partSize = 8_192
const linesAtOnce = 1_000

/**
 * Cleans output and hands it on in small parts, each in a task of its own, so that ten thousand lines at once never hold up the
 * page. One part is with the terminal at a time.
 */
export function createTerminalFeed({ write, reset, later }: TerminalFeedOptions): TerminalFeed {
  const clean = createControlFilter()
  const text = createTerminalText()
  const raw: string[] = []
  let shown: string[] = []
  let filter = ''
  let paused = false
  /** The next line to look at; undefined: what comes is shown as it comes. */
  let at: number | undefined
  let isBusy = false
  let isDisposed = false

  const wake = (): void => {
    if (isBusy || isDisposed || !hasWork()) return
    isBusy = true
    later(step)
  }
  const hasWork = (): boolean =>
    raw.length > 0 || (shown.length > 0 && !paused) || (at !== undefined && (at < text.end || filter === ''))
  const step = (): void => {
    if (isDisposed) return
    const piece = raw.shift()
    if (piece !== undefined) take(piece)
    if (at !== undefined) look(at)
    const next = paused ? undefined : shown.shift()
    const done = (): void => {
      isBusy = false
      wake()
    }
    if (next === undefined) done()
    else write(next, done)
  }
  const take = (piece: string): void => {
    const safe = clean(piece)
    text.add(safe)
    if (at === undefined && safe !== '') shown.push(safe)
  }
  const look = (from: number): void => {
    const { lines, next } = text.read(from, linesAtOnce)
    const wanted = filter.toLowerCase()
    const fitting = wanted === '' ? lines : lines.filter((line) => line.toLowerCase().includes(wanted))
    if (fitting.length > 0) shown.push(fitting.map((line) => `${line}\n`).join(''))
    at = next
    if (filter !== '' || next < text.end) return
    if (text.last !== '') shown.push(text.last)
    at = undefined
  }

  return {
    add(piece) {
      for (let i = 0; i < piece.length; i += partSize) raw.push(piece.slice(i, i + partSize))
      wake()
    },
    setFilter(next) {
      if (next === filter) return
      filter = next
      shown = []
      at = 0
      reset()
      wake()
    },
    setPaused(next) {
      paused = next
      wake()
    },
    plain: text.plain,
    has: text.has,
    dispose() {
      isDisposed = true
    },
  }
}

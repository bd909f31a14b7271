import type { CommandView } from '@fleetupdate/sdk'
import type { Piece } from './piece.ts'

/** A command that somebody watches: its state, the end of its output, and the newest output in memory. */
export interface WatchedCommand {
  readonly id: string
  /** Grows with every change of anything here. */
  readonly version: number
  /** `revision` grows with every change of the view; the view is undefined where the command does not exist. */
  readonly state: { readonly revision: number; readonly view: CommandView | undefined }
  /** Up to where output is durable. */
  readonly end: number
  /** What stands in memory from exactly this offset on; empty where it must be read from the store. */
  recent(offset: number): readonly Piece[]
  /** Resolves with true on a change after `version` or an abort, with false after the time-out. */
  changed(version: number, signal: AbortSignal, timeoutMs: number): Promise<boolean>
  publish(pieces: readonly Piece[], end: number): void
  advance(end: number): void
  update(view: CommandView | undefined): void
}

const recentBytes = 256 * 1024
const recentPieces = 1024

export function createWatchedCommand(id: string): WatchedCommand {
  const wakes = new Set<() => void>()
  let pieces: Piece[] = []
  let size = 0
  let version = 0
  let end = 0
  let shown = ''
  let state: WatchedCommand['state'] = { revision: 0, view: undefined }
  const wake = (): void => {
    version += 1
    for (const each of [...wakes]) each()
  }

  return {
    id,
    get version() {
      return version
    },
    get state() {
      return state
    },
    get end() {
      return end
    },
    recent(offset) {
      const index = indexOf(pieces, offset)
      return index < 0 ? [] : pieces.slice(index)
    },
    changed(seen, signal, timeoutMs) {
      if (version !== seen || signal.aborted) return Promise.resolve(true)
      return new Promise((resolve) => {
        const finish = (changed: boolean) => (): void => {
          clearTimeout(timer)
          signal.removeEventListener('abort', woken)
          wakes.delete(woken)
          resolve(changed)
        }
        const woken = finish(true)
        const timer = setTimeout(finish(false), timeoutMs)
        signal.addEventListener('abort', woken, { once: true })
        wakes.add(woken)
      })
    },
    publish(added, storedEnd) {
      for (const piece of added) {
        if (piece.offset !== pieces.at(-1)?.end) [pieces, size] = [[], 0]
        pieces.push(piece)
        size += piece.text.length
      }
      // Cut by halves, so that not every piece moves all others.
      if (size > 2 * recentBytes || pieces.length > 2 * recentPieces) {
        let keep = pieces.length
        for (size = 0; keep > 0 && size < recentBytes && pieces.length - keep < recentPieces; keep -= 1)
          size += pieces[keep - 1]?.text.length ?? 0
        pieces = pieces.slice(keep)
      }
      end = Math.max(end, storedEnd)
      wake()
    },
    advance(storedEnd) {
      if (storedEnd <= end) return
      end = storedEnd
      wake()
    },
    update(view) {
      const text = JSON.stringify(view) ?? ''
      if (text === shown && state.revision > 0) return
      shown = text
      state = { revision: state.revision + 1, view }
      wake()
    },
  }
}

/** Pieces are in order: a binary search for the one that starts at this offset. */
function indexOf(pieces: readonly Piece[], offset: number): number {
  let low = 0
  let high = pieces.length - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const start = pieces[middle]?.offset ?? 0
    if (start === offset) return middle
    if (start < offset) low = middle + 1
    else high = middle - 1
  }
  return -1
}

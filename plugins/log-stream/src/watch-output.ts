import type { CommandView } from '@fleetupdate/sdk'
import type { OutputPages } from './output-pages.ts'
import type { Piece } from './piece.ts'
import type { WatchedCommand } from './watched-command.ts'

/** One viewer. Each function resolves when the viewer can take more: nothing is read for it before. */
export interface Viewer {
  output(pieces: readonly Piece[]): Promise<void>
  state?(view: CommandView): Promise<void>
  /** Nothing happened for a while. */
  idle?(): Promise<void>
  /** The command has ended and all its output was given, up to `end`. */
  ended(view: CommandView | undefined, end: number): Promise<void>
}

export interface WatchOptions {
  readonly pages: OutputPages
  readonly from: number
  readonly signal: AbortSignal
  readonly idleMs: number
}

const terminal: ReadonlySet<string> = new Set([
  'succeeded',
  'failed',
  'cancelled',
  'timed_out',
  'interrupted',
  'expired',
  'rejected',
  'lost',
])

/** Whether a command can produce no more output. A command that is gone has ended too. */
export function hasEnded(view: CommandView | undefined): boolean {
  return view === undefined || terminal.has(view.state)
}

/**
 * Gives a viewer all output from an offset on, without gap or repeat, until the command ends or the signal aborts. What is new is
 * taken from memory, all else from the store: a slow viewer costs no memory, it reads what it missed when it is ready for it.
 */
export async function watchOutput(
  command: WatchedCommand,
  viewer: Viewer,
  { pages, from, signal, idleMs }: WatchOptions,
): Promise<void> {
  let position = from
  let seen = 0
  while (!signal.aborted) {
    // Taken first: what changes while this round runs makes another round.
    const { version, state, end } = command
    if (state.revision !== seen && state.view) await viewer.state?.(state.view)
    seen = state.revision
    const pieces = position < end ? await next(command, pages, position) : []
    if (pieces.length > 0) await viewer.output(pieces)
    position = pieces.at(-1)?.end ?? Math.max(position, end)
    if (position < command.end || signal.aborted) continue
    // The state was read before the output: after the last state nothing comes any more.
    if (hasEnded(state.view)) return viewer.ended(state.view, position)
    if (!(await command.changed(version, signal, idleMs))) await viewer.idle?.()
  }
}

async function next(
  command: WatchedCommand,
  pages: OutputPages,
  position: number,
): Promise<readonly Piece[]> {
  const recent = command.recent(position)
  return recent.length > 0 ? recent : pages.read(command.id, position)
}

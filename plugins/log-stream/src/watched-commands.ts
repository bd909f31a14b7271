import type { CommandView } from '@fleetupdate/sdk'
import type { OutputPages } from './output-pages.ts'
import type { Piece } from './piece.ts'
import { createWatchedCommand, type WatchedCommand } from './watched-command.ts'

/** All commands somebody watches now. Nothing is kept of a command that nobody watches. */
export interface WatchedCommands {
  /** Undefined where there is no such command. Each one that was handed out must be released. */
  watch(commandId: string): Promise<WatchedCommand | undefined>
  release(command: WatchedCommand): void
  stored(commandId: string, pieces: readonly Piece[], end: number): void
  /** A hint that the command, or the end of its output, is not what it was. */
  hint(commandId: string, end?: number): void
  /** Looks at every watched command again: stands behind lost hints. */
  sweep(signal: AbortSignal): Promise<void>
}

interface Entry {
  readonly command: WatchedCommand
  readonly ready: Promise<void>
  users: number
  /** A look at the command is under way. */
  looking: boolean
  /** Something changed since it began. */
  again: boolean
}

export interface WatchedCommandsOptions {
  readonly pages: OutputPages
  readonly readCommand: (commandId: string) => Promise<CommandView | undefined>
  readonly report: (error: unknown) => void
}

const sweepPage = 200

export function createWatchedCommands({
  pages,
  readCommand,
  report,
}: WatchedCommandsOptions): WatchedCommands {
  const entries = new Map<string, Entry>()

  const look = async (entry: Entry): Promise<void> => {
    if (entry.looking) {
      entry.again = true
      return
    }
    entry.looking = true
    try {
      do {
        entry.again = false
        entry.command.update(await readCommand(entry.command.id))
      } while (entry.again)
    } finally {
      entry.looking = false
    }
  }

  const open = (commandId: string): Entry => {
    const command = createWatchedCommand(commandId)
    const begin = async (): Promise<void> => {
      const view = await readCommand(commandId)
      command.advance(await pages.end(commandId))
      command.update(view)
    }
    const entry: Entry = { command, ready: begin(), users: 0, looking: false, again: false }
    entries.set(commandId, entry)
    return entry
  }

  const leave = (entry: Entry): void => {
    entry.users -= 1
    if (entry.users === 0) entries.delete(entry.command.id)
  }

  return {
    async watch(commandId) {
      const entry = entries.get(commandId) ?? open(commandId)
      entry.users += 1
      try {
        await entry.ready
      } catch (error) {
        leave(entry)
        throw error
      }
      if (entry.command.state.view) return entry.command
      leave(entry)
      return undefined
    },
    release(command) {
      const entry = entries.get(command.id)
      if (entry?.command === command) leave(entry)
    },
    stored: (commandId, pieces, end) => entries.get(commandId)?.command.publish(pieces, end),
    hint(commandId, end) {
      const entry = entries.get(commandId)
      if (!entry) return
      if (end === undefined) look(entry).catch(report)
      else entry.command.advance(end)
    },
    async sweep(signal) {
      const all = [...entries.values()]
      for (let first = 0; first < all.length && !signal.aborted; first += sweepPage) {
        const page = all.slice(first, first + sweepPage)
        const ends = await pages.ends(page.map((entry) => entry.command.id))
        for (const entry of page) {
          await look(entry)
          entry.command.advance(ends.get(entry.command.id) ?? 0)
        }
      }
    },
  }
}

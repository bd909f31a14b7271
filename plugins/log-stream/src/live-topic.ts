import type { LiveSubscription } from '@fleetupdate/sdk'
import { outputError } from './errors.ts'
import type { OutputPages } from './output-pages.ts'
import { watchOutput } from './watch-output.ts'
import type { WatchedCommands } from './watched-commands.ts'

/**
 * The live topic `output:<command id>`: `{ offset, end, text }` for each piece from `from` on, at last `{ ended: true }`. While a
 * reader is slow nothing is read for it; it goes on from the store.
 */
export function createOutputTopic(
  commands: WatchedCommands,
  pages: OutputPages,
): (subscription: LiveSubscription) => Promise<void> {
  return async ({ argument, from, send, drained, signal }) => {
    const command = await commands.watch(argument)
    if (!command) {
      send({
        ended: true,
        error: outputError('FLT_COMMAND_NOT_FOUND', { id: argument.slice(0, 64) }).toJSON(),
      })
      return
    }
    try {
      await watchOutput(
        command,
        {
          async output(pieces) {
            for (const piece of pieces) {
              if (!send(piece)) await drained()
              if (signal.aborted) return
            }
          },
          async ended() {
            send({ ended: true })
          },
        },
        { pages, from, signal, idleMs: 60_000 },
      )
    } finally {
      commands.release(command)
    }
  }
}

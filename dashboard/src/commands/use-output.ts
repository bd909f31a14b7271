import type { Problem } from '@fleetupdate/sdk/panel'
import { type MaybeRefOrGetter, toValue } from 'vue'
import { isRecord } from '../api/request.ts'
import { useTopic } from '../api/use-topic.ts'

export interface OutputHandlers {
  /** A new piece, in order, without gap or repeat; `end` counts bytes from the start of the output. */
  text(piece: string, end: number): void
  ended(): void
  problem(problem: Problem): void
}

/** Follows the output of a command from its first byte, across reconnections. */
export function useOutput(commandId: MaybeRefOrGetter<string>, handlers: OutputHandlers): void {
  let end = 0
  useTopic(() => `output:${toValue(commandId)}`, {
    from: () => end,
    problem: handlers.problem,
    data(data) {
      if (!isRecord(data)) return
      if (data.ended === true) return handlers.ended()
      if (typeof data.text !== 'string' || typeof data.end !== 'number' || data.end <= end) return
      end = data.end
      handlers.text(data.text, end)
    },
  })
}

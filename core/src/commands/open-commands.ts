import type { CommandRow } from './tables.ts'

/** A command that has not ended, as the dispatcher sees it: its row, and what only matters while the server lives. */
export interface OpenCommand
  extends Omit<
    CommandRow,
    'input' | 'result' | 'exitCode' | 'finishedAt' | 'outputBytes' | 'outputDropped' | 'outputSha256'
  > {
  /** JSON; undefined where it is so long that it is read when needed. */
  input: string | undefined
  /** False until its first write is done: it takes its lane, and nothing else happens to it. */
  isStored: boolean
  /** When the last offer was sent. */
  offeredMs: number
  cancelSentMs: number
  /** The agent could not take it: not before this. */
  retryMs: number
  /** Since when the agent is back without knowing this attempt; 0: it knows it, or is away. */
  missingSinceMs: number
  progress: { percent?: number; message?: string } | undefined
  /** Where the stored output ends; undefined: ask the output's store. */
  outputEnd: number | undefined
}

/** All commands that have not ended, in memory. The store is the truth: a change is written before anybody sees it. */
export interface OpenCommands {
  get(id: string): OpenCommand | undefined
  /** In the order of submission. */
  of(agentId: string): readonly OpenCommand[]
  agents(): IterableIterator<string>
  all(): IterableIterator<OpenCommand>
  add(row: CommandRow): OpenCommand
  remove(id: string): void
  readonly size: number
}

const keptInputLength = 4096
const none: readonly OpenCommand[] = []

export function createOpenCommands(): OpenCommands {
  const byId = new Map<string, OpenCommand>()
  const byAgent = new Map<string, OpenCommand[]>()
  return {
    get: (id) => byId.get(id),
    of: (agentId) => byAgent.get(agentId) ?? none,
    agents: () => byAgent.keys(),
    all: () => byId.values(),
    get size() {
      return byId.size
    },
    add(row) {
      const command = openCommand(row)
      byId.set(command.id, command)
      const own = byAgent.get(command.agentId)
      if (!own) byAgent.set(command.agentId, [command])
      else own.splice(placeOf(own, command.id), 0, command)
      return command
    },
    remove(id) {
      const command = byId.get(id)
      if (!command) return
      byId.delete(id)
      const own = (byAgent.get(command.agentId) ?? []).filter((other) => other !== command)
      if (own.length > 0) byAgent.set(command.agentId, own)
      else byAgent.delete(command.agentId)
    },
  }
}

/** Brings what is in memory back to what the store says, after a write failed. */
export function restore(command: OpenCommand, row: CommandRow): void {
  const {
    state,
    reason,
    epoch,
    generation,
    notAfter,
    startedAt,
    cancelRequestedAt,
    cancelForce,
    outputStored,
  } = row
  Object.assign(command, {
    state,
    reason,
    epoch,
    generation,
    notAfter,
    startedAt,
    cancelRequestedAt,
    cancelForce,
    outputStored,
  })
  command.outputEnd = undefined
}

function openCommand(row: CommandRow): OpenCommand {
  const { input, result, exitCode, finishedAt, outputBytes, outputDropped, outputSha256, ...kept } = row
  return {
    ...kept,
    input: input.length <= keptInputLength ? input : undefined,
    isStored: true,
    offeredMs: 0,
    cancelSentMs: 0,
    retryMs: 0,
    missingSinceMs: 0,
    progress: undefined,
    outputEnd: undefined,
  }
}

function placeOf(sorted: readonly OpenCommand[], id: string): number {
  let place = sorted.length
  while (place > 0 && (sorted[place - 1]?.id ?? '') > id) place--
  return place
}

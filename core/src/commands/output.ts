import type { OutputChunk } from '@fleetupdate/sdk'
import type { OutputFrame } from '../agents/gateway/inbound.ts'
import type { AgentSession } from '../agents/session.ts'
import type { EventBus } from '../events/bus.ts'
import type { Store } from '../store/store.ts'
import { noteActivity } from './agent-frames.ts'
import type { Changes } from './changes.ts'
import type { OpenCommand, OpenCommands } from './open-commands.ts'
import type { OutputHook } from './output-hook.ts'

export interface OutputOptions {
  readonly store: Store
  readonly open: OpenCommands
  readonly changes: Changes
  readonly hook: OutputHook
  readonly bus: EventBus
  readonly now: () => number
}

interface Ack {
  readonly epoch: number
  end: number
}

/**
 * Hands output to its store and acknowledges it when it is durable there. Bytes that are already stored are acknowledged
 * again; a gap is answered with the end of what is stored. Without a store output is acknowledged, dropped, and the command says so.
 */
export function createOutput(options: OutputOptions) {
  const { store, open, changes, hook, bus, now } = options

  /** The new chunks of one command, in order, and up to where it will be stored after them. */
  const select = async (
    command: OpenCommand,
    frames: readonly OutputFrame[],
  ): Promise<{ chunks: OutputChunk[]; end: number }> => {
    const keeper = hook.current()
    if (!keeper || command.outputStored === 0) {
      if (command.outputStored === 1) await markUnstored(command)
      return { chunks: [], end: Math.max(...frames.map((frame) => frame.end)) }
    }
    let end = command.outputEnd ?? (await keeper.end(command.id))
    command.outputEnd = end
    const chunks: OutputChunk[] = []
    for (const { offset, end: frameEnd, text } of frames) {
      if (offset > end) break
      if (frameEnd <= end || frameEnd < offset) continue
      chunks.push({
        commandId: command.id,
        agentId: command.agentId,
        offset,
        end: frameEnd,
        text,
        endless: command.endless === 1,
      })
      end = frameEnd
    }
    return { chunks, end }
  }

  const markUnstored = async (command: OpenCommand): Promise<void> => {
    command.outputStored = 0
    await store.write([
      store.read.updateTable('commands').set({ outputStored: 0 }).where('id', '=', command.id).compile(),
    ])
  }

  /** The command has ended, or is not known here any more: the agent may forget the output. */
  const acknowledgeClosed = async (session: AgentSession, frames: readonly OutputFrame[]): Promise<void> => {
    const last = frames.at(-1)
    if (!last) return
    const row = await store.read
      .selectFrom('commands')
      .select('agentId')
      .where('id', '=', last.commandId)
      .executeTakeFirst()
    if (row && row.agentId !== session.agentId) return
    session.send({ type: 'ack', commandId: last.commandId, epoch: last.epoch, output: last.end })
  }

  return async (session: AgentSession, frames: readonly OutputFrame[]): Promise<void> => {
    const appended: OutputChunk[] = []
    const acks = new Map<OpenCommand, Ack>()
    for (const [commandId, own] of byCommand(frames)) {
      const command = open.get(commandId)
      if (!command) {
        await acknowledgeClosed(session, own)
        continue
      }
      const current = own.filter((frame) => frame.epoch >= command.epoch)
      const [first] = current
      if (!first || command.agentId !== session.agentId) continue
      noteActivity(changes, command, first.epoch, now())
      const { chunks, end } = await select(command, current)
      appended.push(...chunks)
      acks.set(command, { epoch: first.epoch, end })
    }
    try {
      if (appended.length > 0) await hook.current()?.append(appended)
    } catch (error) {
      for (const command of acks.keys()) command.outputEnd = undefined
      throw error
    }
    for (const [command, { epoch, end }] of acks) {
      if (command.outputStored === 1) command.outputEnd = end
      session.send({ type: 'ack', commandId: command.id, epoch, output: end })
    }
    for (const commandId of new Set(appended.map((chunk) => chunk.commandId))) {
      const end = appended.findLast((chunk) => chunk.commandId === commandId)?.end ?? 0
      bus.emit('output.appended', { commandId, end })
    }
  }
}

function byCommand(frames: readonly OutputFrame[]): Map<string, OutputFrame[]> {
  const groups = new Map<string, OutputFrame[]>()
  for (const frame of frames) {
    const group = groups.get(frame.commandId)
    if (group) group.push(frame)
    else groups.set(frame.commandId, [frame])
  }
  return groups
}

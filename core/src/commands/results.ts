import type { AgentFrameOf } from '@fleetupdate/sdk/protocol'
import type { ContractRegistry } from '../plugins/registry.ts'
import { within } from './agent-frames.ts'
import type { Patch } from './changes.ts'
import type { OpenCommand } from './open-commands.ts'

/**
 * What a result changes in its command's row. A result that does not fit the contract is left out, and the reason says so: the
 * state is still what really happened.
 */
export function resultPatch(
  frame: AgentFrameOf<'result'>,
  command: OpenCommand,
  contracts: ContractRegistry,
  nowMs: number,
): Patch {
  const { bytes, droppedBytes, sha256 } = frame.output
  const startedAt = command.startedAt ?? within(frame.startedAt, command.createdAt, nowMs)
  const { result, problem } = checkedResult(frame, command, contracts)
  return {
    epoch: frame.epoch,
    reason: [frame.reason, problem].filter(Boolean).join(' ').slice(0, 4000) || null,
    result: result === undefined ? null : JSON.stringify(result),
    exitCode: frame.exitCode ?? null,
    startedAt,
    finishedAt: within(frame.finishedAt, startedAt, nowMs),
    outputBytes: bytes,
    outputDropped: droppedBytes ?? null,
    outputSha256: sha256 ?? null,
  }
}

function checkedResult(
  { state, result }: AgentFrameOf<'result'>,
  { command }: OpenCommand,
  contracts: ContractRegistry,
): { readonly result?: unknown; readonly problem?: string } {
  if (result === undefined) return {}
  const dot = command.indexOf('.')
  const contract = contracts.contract(command.slice(0, dot))
  // Its plugin was disabled meanwhile: there is nobody who could read the result.
  if (!contract) return { problem: `The result was dropped: the plugin of ${command} is not active.` }
  const checked = contract.checkResult(command.slice(dot + 1), result)
  if ('value' in checked) return { result: checked.value }
  if (state !== 'succeeded') return {}
  return {
    problem: `The result does not fit the contract: ${checked.problems.join('; ')}. Update the agent's executor.`,
  }
}

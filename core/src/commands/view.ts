import type { CommandView } from '@fleetupdate/sdk'
import { limits } from '@fleetupdate/sdk/protocol'
import type { FleetIndex } from '../agents/fleet-index.ts'
import { isoTime } from '../agents/view.ts'
import { attentionFor } from './attention.ts'
import type { OpenCommand } from './open-commands.ts'
import type { CommandRow } from './tables.ts'

/** What must be known of an agent to tell how its commands are. */
export interface AgentSight {
  readonly index: FleetIndex
  silentMs(agentId: string): number
  readonly now: () => number
}

type Judged = Pick<
  CommandRow,
  'agentId' | 'state' | 'generation' | 'expiresAt' | 'notAfter' | 'cancelRequestedAt'
>

/** The identity the attempt was offered to has ended: no word about it can ever come. */
export function isLost({ agentId, state, generation }: Judged, index: FleetIndex): boolean {
  if (state !== 'offered' && state !== 'started' && state !== 'running') return false
  const agent = index.get(agentId)
  return !agent || agent.revoked || agent.generation !== generation
}

/** The state as it is shown: the stored one, or `lost`, or `unknown` where an agent that may be at work is silent. */
export function shownState(row: Judged, { index, silentMs, now }: AgentSight): CommandView['state'] {
  const { state, agentId, expiresAt, notAfter, cancelRequestedAt } = row
  if (isLost(row, index)) return 'lost'
  const isStarted = state === 'started' || state === 'running'
  // Offered, and too late to start: it may have started, and only the agent can say so.
  const offerEnd = cancelRequestedAt === null ? expiresAt : (notAfter ?? expiresAt)
  const mayHaveStarted = state === 'offered' && now() > offerEnd
  if ((isStarted || mayHaveStarted) && silentMs(agentId) > limits.silenceMs) return 'unknown'
  return state
}

/** A command as people and programs see it. */
export function viewCommand(
  row: CommandRow,
  sight: AgentSight,
  progress: OpenCommand['progress'],
): CommandView {
  const state = shownState(row, sight)
  const reason = row.reason ?? explanations[state]
  const attention = attentionFor(state)
  return {
    id: row.id,
    ...(row.batchId === null ? {} : { batchId: row.batchId }),
    agentId: row.agentId,
    command: row.command,
    input: JSON.parse(row.input),
    state,
    ...(reason === undefined ? {} : { reason }),
    ...(attention ? { attention } : {}),
    ...(row.result === null ? {} : { result: JSON.parse(row.result) }),
    ...(row.exitCode === null ? {} : { exitCode: row.exitCode }),
    ...(progress ? { progress } : {}),
    ...(row.outputBytes === null ? {} : { output: viewOutput(row, row.outputBytes) }),
    cause: { type: row.causeType, id: row.causeId },
    epoch: row.epoch,
    ...(row.cancelRequestedAt === null ? {} : { cancelRequestedAt: isoTime(row.cancelRequestedAt) }),
    createdAt: isoTime(row.createdAt),
    ...(row.notBefore === null ? {} : { notBefore: isoTime(row.notBefore) }),
    expiresAt: isoTime(row.expiresAt),
    ...(row.startedAt === null ? {} : { startedAt: isoTime(row.startedAt) }),
    ...(row.finishedAt === null ? {} : { finishedAt: isoTime(row.finishedAt) }),
  }
}

const explanations: Readonly<Partial<Record<CommandView['state'], string>>> = {
  unknown: 'The agent is silent. What really happened shows when it is back.',
  lost: 'The identity of the agent was ended, so that its result can never arrive.',
  interrupted: 'The attempt ended without a result: a crash, a reboot or a power cut.',
  expired: 'It never started: its agent did not take it in time.',
}

function viewOutput(row: CommandRow, bytes: number): NonNullable<CommandView['output']> {
  return {
    bytes,
    ...(row.outputSha256 === null ? {} : { sha256: row.outputSha256 }),
    ...(row.outputDropped === null ? {} : { droppedBytes: row.outputDropped }),
    stored: row.outputStored === 1,
  }
}

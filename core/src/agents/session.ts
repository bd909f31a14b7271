import type { AgentFrame, ServerFrame } from '@fleetupdate/sdk/protocol'

/** Close codes of docs/reference/protocol.md section 4. */
export const closeCodes = {
  stopping: 1001,
  malformed: 4400,
  unauthentic: 4401,
  revoked: 4403,
  silent: 4408,
  replaced: 4409,
} as const
export type CloseCode = (typeof closeCodes)[keyof typeof closeCodes]

/** One live connection of an agent, whatever carries its frames. */
export interface AgentSession {
  readonly agentId: string
  readonly generation: number
  /** Grows with each session of the agent; 0 until hello is stored. */
  epoch: number
  lastHeardMs: number
  /** Frames that came and wait for their turn; handled strictly one after the other. */
  readonly inbox: AgentFrame[]
  /** Set while the inbox is worked off. */
  draining: Promise<void> | undefined
  send(frame: ServerFrame): void
  close(code: CloseCode, reason: string): void
}
